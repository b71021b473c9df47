//! What regional functions say of themselves in printed plans.

use super::{Footprint, Regional};
use crate::plan::Schema;
use crate::reduce::{Reduce, Role};

impl Regional {
    /// What it does, with its parameters, of arrays of these kinds.
    pub(crate) fn describe(&self, inputs: &[&Schema]) -> String {
        let dims = |wanted: &dyn Fn(&Role) -> bool, reduce: &Reduce| {
            let Some(input) = inputs.first() else {
                return String::new();
            };
            let names = reduce.roles.iter().zip(&*input.dims);
            let names: Vec<&str> = names
                .filter(|(role, _)| wanted(role))
                .map(|(_, dim)| dim.as_str())
                .collect();
            names.join(", ")
        };
        match self {
            Regional::Reduce(reduce) | Regional::Partial(reduce) => {
                let over = dims(&|role| *role == Role::Reduce, reduce);
                let by = dims(&|role| matches!(role, Role::Group(_)), reduce);
                let mut text = self.name().to_owned();
                if matches!(self, Regional::Partial(_)) {
                    text = format!("{} of each block", reduce.op.name());
                }
                if !over.is_empty() {
                    text += &format!(" over {over}");
                }
                if !by.is_empty() {
                    text += &format!(" in groups of {by}");
                }
                if !reduce.skipna {
                    text += ", NaN included";
                }
                text
            }
            Regional::Combine { reduce, .. } => format!("{} of all blocks", reduce.op.name()),
            Regional::Scan(scan) => match inputs.first() {
                Some(input) => format!("{} along {}", self.name(), input.dims[scan.axis]),
                None => self.name().to_owned(),
            },
            Regional::Window(window) => {
                let reach = match (&window.footprint, inputs.first()) {
                    (Footprint::Box(reach), _) => reach
                        .iter()
                        .map(|(before, after)| (before + after + 1).to_string())
                        .collect::<Vec<_>>()
                        .join(" x "),
                    (Footprint::Disk { radius }, _) => format!("a disk of radius {radius}"),
                };
                format!("{} in windows of {reach}", self.name())
            }
            Regional::Concat { axis } => match inputs.first() {
                Some(input) => format!("concat along {}", input.dims[*axis]),
                None => "concat".to_owned(),
            },
            Regional::Kernel(kernel) => kernel.name().to_owned(),
            Regional::Regrid(regrid) => format!("{regrid:?}"),
            Regional::Custom(custom) => format!("function `{}`", custom.name()),
        }
    }
}
