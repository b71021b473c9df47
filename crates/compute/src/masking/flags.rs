//! What the bits and classes of a quality band mean.

use datacube_model::flags::FlagDescription;
use datacube_model::{Label, MaskRequest, MaskValue};
use indexmap::IndexMap;

use super::flags_error;
use crate::array::DataArray;
use crate::cube::Cube;
use crate::error::{Error, Result};

/// A class of an enumerated band: its name in the definition, or its value.
#[derive(Clone, Debug, PartialEq)]
pub enum Category {
    /// A name, such as `cloud`.
    Name(String),
    /// A pixel value.
    Value(i64),
}

impl From<&str> for Category {
    fn from(name: &str) -> Self {
        Category::Name(name.to_owned())
    }
}

impl From<String> for Category {
    fn from(name: String) -> Self {
        Category::Name(name)
    }
}

impl From<i64> for Category {
    fn from(value: i64) -> Self {
        Category::Value(value)
    }
}

impl From<i32> for Category {
    fn from(value: i32) -> Self {
        Category::Value(value.into())
    }
}

impl DataArray {
    /// The names of the flags, lowest bit first.
    ///
    /// # Errors
    /// No `flags_definition` attribute, or one that is wrong.
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`list_flag_names`).
    pub fn list_flag_names(&self) -> Result<Vec<String>> {
        Ok(self
            .flags()?
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect())
    }

    /// The flags with their bits, values and descriptions, lowest bit first.
    /// The definition itself prints as ODC's table:
    /// `println!("{}", qa.flags()?)`.
    ///
    /// # Errors
    /// As [`DataArray::list_flag_names`].
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`describe_variable_flags`).
    pub fn describe_flags(&self) -> Result<Vec<FlagDescription>> {
        Ok(self.flags()?.describe())
    }

    /// What a pixel value says, flag by flag; flags whose value has no name are
    /// left out.
    ///
    /// # Errors
    /// As [`DataArray::list_flag_names`].
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`mask_to_dict`).
    pub fn mask_to_dict(&self, pixel: u64) -> Result<IndexMap<String, Label>> {
        let flags = self.flags()?;
        let labels = flags.mask_to_dict(pixel).into_iter();
        Ok(labels
            .map(|(flag, label)| (flag.to_owned(), label.clone()))
            .collect())
    }

    /// The bits that conditions look at, and what these have to be.
    ///
    /// # Errors
    /// As [`DataArray::list_flag_names`]; a flag or label that is not there.
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`create_mask_value`).
    pub fn create_mask_value<L: Clone + Into<Label>>(
        &self,
        conditions: &[(&str, L)],
    ) -> Result<MaskValue> {
        let conditions: Vec<(&str, Label)> = conditions
            .iter()
            .map(|(flag, label)| (*flag, label.clone().into()))
            .collect();
        self.flags()?
            .create_mask_value(&conditions)
            .map_err(flags_error)
    }

    /// Where an enumerated band, such as fmask or a scene classification, is
    /// one of `categories`: names from its definition, or values.
    ///
    /// Without `flag`, the first flag that has all the names is meant.
    ///
    /// ```
    /// use datacube_compute::{Attrs, Coords, DataArray};
    /// let fmask = DataArray::from_values("fmask", &["x"], &[4], vec![0u8, 1, 2, 5], Coords::new())?
    ///     .with_attrs(Attrs::new().with("flags_definition", serde_json::json!({
    ///         "fmask": {"bits": [0, 1, 2, 3, 4, 5, 6, 7], "values": {
    ///             "0": "nodata", "1": "valid", "2": "cloud", "3": "shadow", "4": "snow", "5": "water",
    ///         }},
    ///     })));
    /// let clear = fmask.fmask_to_bool(["valid", "snow", "water"])?.compute()?;
    /// assert_eq!(clear.to_vec::<bool>()?, [false, true, false, true]);
    /// # Ok::<(), datacube_compute::Error>(())
    /// ```
    ///
    /// # Errors
    /// Names without a definition, or that no flag has together.
    ///
    /// # Source
    /// odc-algo 1.2.2, `enum_to_bool`.
    pub fn enum_to_bool<C: Into<Category>>(
        &self,
        categories: impl IntoIterator<Item = C>,
        flag: Option<&str>,
    ) -> Result<DataArray> {
        self.check()?;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for category in categories {
            match category.into() {
                Category::Name(name) => names.push(name),
                Category::Value(value) => values.push(value),
            }
        }
        if names.is_empty() {
            return self.isin(values).check().cloned();
        }
        let flags = self.flags()?;
        let has = |flag: &str| {
            let labels = flags.flags().get(flag).map(|flag| &flag.values);
            labels.is_some_and(|labels| {
                let known = |name: &String| labels.iter().any(|(_, label)| label.text() == *name);
                names.iter().all(known)
            })
        };
        let flag = match flag {
            Some(flag) => flag.to_owned(),
            None => {
                let found = flags.flags().keys().find(|flag| has(flag));
                found.cloned().ok_or_else(|| {
                    Error::Invalid(format!(
                        "no flag of {} has all of the classes {}; its flags are\n{flags}",
                        self.place(),
                        names.join(", ")
                    ))
                })?
            }
        };
        let mask = self.make_mask(MaskRequest::new().any_of(flag, names));
        let mask = if values.is_empty() {
            mask
        } else {
            mask | self.isin(values)
        };
        mask.check().cloned()
    }

    /// [`DataArray::enum_to_bool`] of a band with one enumeration, such as
    /// `oa_fmask`.
    ///
    /// # Errors
    /// As [`DataArray::enum_to_bool`].
    ///
    /// # Source
    /// odc-algo 1.2.2, `fmask_to_bool`.
    pub fn fmask_to_bool<C: Into<Category>>(
        &self,
        categories: impl IntoIterator<Item = C>,
    ) -> Result<DataArray> {
        self.enum_to_bool(categories, None)
    }
}

impl Cube {
    /// The first variable that has a `flags_definition`.
    ///
    /// # Errors
    /// There is none.
    pub fn flags_band(&self) -> Result<&DataArray> {
        let band = self
            .variables()
            .find(|(_, array)| array.attrs().contains("flags_definition"));
        band.map(|(_, array)| array).ok_or_else(|| {
            Error::Invalid(format!(
                "no variable of the cube has a `flags_definition` among its attributes; there is {}",
                self.names().collect::<Vec<_>>().join(", ")
            ))
        })
    }
}
