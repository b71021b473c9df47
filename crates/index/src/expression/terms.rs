//! From terms to a query: each field decides what its values mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use datacube_geo::{Crs, Geometry};
use datacube_model::Product;
use uuid::Uuid;

use super::grammar::{Literal, Operator, Term, refuse};
use crate::error::{Error, Result, listed, near_names};
use crate::fields::{FieldClass, SearchFields};
use crate::query::{FieldTest, Query};
use crate::time_range::TimeRange;

/// A single degree stands for a band around it, as in the Open Data Cube.
const HALF_BAND_DEG: f64 = 1e-6;

/// The query that the terms of `text` ask for.
///
/// # Errors
/// [`Error::Expression`].
pub(super) fn query(text: &str, terms: &[Term], products: &[Arc<Product>]) -> Result<Query> {
    let reader = Reader { text };
    let mut query = Query::new();
    // Products first: they decide which fields there are.
    let named: Vec<&Term> = terms
        .iter()
        .filter(|term| term.field == "product")
        .collect();
    if !named.is_empty() {
        query.products = reader.products(&named, products)?;
        if query.products.is_empty() {
            return Err(refuse(
                text,
                named[0].at,
                "no product satisfies these conditions",
            ));
        }
    }
    let fields = SearchFields::of(products, &query.products)?;
    let mut by_field: BTreeMap<(usize, &str), Vec<&Term>> = BTreeMap::new();
    for term in terms.iter().filter(|term| term.field != "product") {
        let first = terms
            .iter()
            .position(|other| other.field == term.field)
            .unwrap_or_default();
        by_field.entry((first, &term.field)).or_default().push(term);
    }
    let (mut lat, mut lon) = (None, None);
    for ((_, name), terms) in by_field {
        match (name, fields.class(name)) {
            ("id", _) => query = query.ids(reader.ids(&terms)?),
            ("time", _) => query.times = reader.times(&terms)?,
            ("lat", _) => lat = Some(reader.degrees(&terms, -90.0, 90.0)?),
            ("lon", _) => lon = Some(reader.degrees(&terms, -180.0, 180.0)?),
            (_, Some(class)) => query = query.field(name, reader.tests(&terms, class)?),
            (_, None) => return Err(reader.unknown_field(terms[0], &fields)),
        }
    }
    if lat.is_some() || lon.is_some() {
        query.geometry = Some(area(
            &lat.unwrap_or_else(|| vec![(-90.0, 90.0)]),
            &lon.unwrap_or_else(|| vec![(-180.0, 180.0)]),
        )?);
    }
    Ok(query)
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn wrong_operator(&self, term: &Term, allowed: &str) -> Error {
        let reason = format!(
            "`{}` cannot be used with `{}`; use {allowed}",
            term.operator.sign(),
            term.field
        );
        refuse(self.text, term.at, reason)
    }

    fn unknown_field(&self, term: &Term, fields: &SearchFields) -> Error {
        let names = fields.names();
        let mut reason = format!("no search field `{}`", term.field);
        if let Some(near) = near_names(&term.field, &names).first() {
            reason.push_str(&format!(", did you mean `{near}`?"));
        }
        reason.push_str(&format!(" (there are {})", listed(&names, 40)));
        refuse(self.text, term.at, reason)
    }

    /// Values of `=` and `in`, and those of `!=` and `not in`.
    fn split_equalities<'t>(
        &self,
        terms: &[&'t Term],
    ) -> Result<(Vec<&'t Literal>, Vec<&'t Literal>)> {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for term in terms {
            match term.operator {
                Operator::Equals | Operator::In => wanted.extend(&term.values),
                Operator::Differs | Operator::NotIn => unwanted.extend(&term.values),
                _ => return Err(self.wrong_operator(term, "`=`, `!=`, `in` or `not in`")),
            }
        }
        Ok((wanted, unwanted))
    }

    fn products(&self, terms: &[&Term], products: &[Arc<Product>]) -> Result<Vec<String>> {
        let known: Vec<String> = products.iter().map(|p| p.name().to_owned()).collect();
        let (wanted, unwanted) = self.split_equalities(terms)?;
        for literal in wanted.iter().chain(&unwanted) {
            if known.contains(&literal.text) {
                continue;
            }
            let near = near_names(&literal.text, &known);
            let hint = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "the index has no product yet".to_owned(),
                None => format!("there are {}", listed(&known, 12)),
            };
            let reason = format!("no product `{}` in the index; {hint}", literal.text);
            return Err(refuse(self.text, literal.at, reason));
        }
        let is_in = |list: &[&Literal], name: &String| list.iter().any(|l| l.text == *name);
        Ok(known
            .into_iter()
            .filter(|name| wanted.is_empty() || is_in(&wanted, name))
            .filter(|name| !is_in(&unwanted, name))
            .collect())
    }

    fn ids(&self, terms: &[&Term]) -> Result<Vec<Uuid>> {
        let mut ids = Vec::new();
        for term in terms {
            if !matches!(term.operator, Operator::Equals | Operator::In) {
                return Err(self.wrong_operator(term, "`=` or `in`"));
            }
            for literal in &term.values {
                ids.push(Uuid::parse_str(&literal.text).map_err(|_| {
                    let reason = format!("expected an id (a UUID), met `{}`", literal.text);
                    refuse(self.text, literal.at, reason)
                })?);
            }
        }
        Ok(ids)
    }

    fn period(&self, literal: &Literal) -> Result<TimeRange> {
        literal.text.parse().map_err(|error| match error {
            Error::InvalidQuery { reason } => refuse(self.text, literal.at, reason),
            other => other,
        })
    }

    /// `in [first, last]` as one range, anything else as a period each.
    fn periods(&self, term: &Term) -> Result<Vec<TimeRange>> {
        match term.values.as_slice() {
            [first, last] if term.is_list => {
                let (begin, end) = (self.period(first)?.begin(), self.period(last)?.end());
                match (begin, end) {
                    (Some(begin), Some(end)) => TimeRange::between(begin, end)
                        .map(|range| vec![range])
                        .map_err(|_| {
                            let reason = "the range is reversed; exchange its ends";
                            refuse(self.text, first.at, reason)
                        }),
                    _ => Ok(Vec::new()),
                }
            }
            values => values.iter().map(|value| self.period(value)).collect(),
        }
    }

    /// What bounds leave of all time.
    fn time_bound(&self, term: &Term) -> Result<Option<TimeRange>> {
        let Some(literal) = term.values.first() else {
            return Ok(None);
        };
        Ok(match term.operator {
            Operator::Less | Operator::AtMost => self.period(literal)?.end().map(TimeRange::until),
            Operator::More | Operator::AtLeast => {
                self.period(literal)?.begin().map(TimeRange::since)
            }
            _ => None,
        })
    }

    fn times(&self, terms: &[&Term]) -> Result<Vec<TimeRange>> {
        let mut wanted = Vec::new();
        let mut has_wanted = false;
        let mut bounds: Option<TimeRange> = None;
        let nothing_left = |term: &Term| {
            refuse(
                self.text,
                term.at,
                "no time satisfies these conditions together",
            )
        };
        for term in terms {
            match term.operator {
                Operator::Equals | Operator::In => {
                    has_wanted = true;
                    wanted.extend(self.periods(term)?);
                }
                Operator::Differs | Operator::NotIn => {
                    return Err(self.wrong_operator(term, "`=`, `in`, `<` or `>`"));
                }
                _ => {
                    let Some(bound) = self.time_bound(term)? else {
                        continue;
                    };
                    bounds = Some(match bounds {
                        None => bound,
                        Some(earlier) => earlier
                            .intersect(&bound)
                            .ok_or_else(|| nothing_left(term))?,
                    });
                }
            }
        }
        let Some(bounds) = bounds else {
            return Ok(wanted);
        };
        if !has_wanted {
            return Ok(vec![bounds]);
        }
        let left: Vec<TimeRange> = wanted
            .iter()
            .filter_map(|range| range.intersect(&bounds))
            .collect();
        if left.is_empty() {
            return Err(nothing_left(terms[0]));
        }
        Ok(left)
    }

    fn number(&self, literal: &Literal) -> Result<f64> {
        match literal.text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => {
                let reason = format!("expected a number, met `{}`", literal.text);
                Err(refuse(self.text, literal.at, reason))
            }
        }
    }

    /// Bands of latitude or longitude.
    fn degrees(&self, terms: &[&Term], lowest: f64, highest: f64) -> Result<Vec<(f64, f64)>> {
        let mut bands = Vec::new();
        let (mut low, mut high) = (lowest, highest);
        let mut has_bounds = false;
        for term in terms {
            match (term.operator, term.values.as_slice()) {
                (Operator::In, [first, last]) if term.is_list => {
                    let (a, b) = (self.number(first)?, self.number(last)?);
                    if a > b && term.field == "lat" {
                        let reason = "the range is reversed; exchange its ends";
                        return Err(refuse(self.text, first.at, reason));
                    }
                    // Longitudes from 170 to -170 cross the antimeridian.
                    bands.push((a, if a > b { b + 360.0 } else { b }));
                }
                (Operator::Equals | Operator::In, values) => {
                    for value in values {
                        let degree = self.number(value)?;
                        bands.push((degree - HALF_BAND_DEG, degree + HALF_BAND_DEG));
                    }
                }
                (Operator::Less | Operator::AtMost, [value]) => {
                    has_bounds = true;
                    high = high.min(self.number(value)?);
                }
                (Operator::More | Operator::AtLeast, [value]) => {
                    has_bounds = true;
                    low = low.max(self.number(value)?);
                }
                _ => return Err(self.wrong_operator(term, "`=`, `in [a, b]`, `<` or `>`")),
            }
        }
        if has_bounds {
            if bands.is_empty() {
                bands.push((low, high));
            } else {
                bands = bands
                    .into_iter()
                    .map(|(a, b)| (a.max(low), b.min(high)))
                    .collect();
            }
            bands.retain(|(a, b)| a <= b);
        }
        if bands.is_empty() {
            let reason = "no place satisfies these conditions together";
            return Err(refuse(self.text, terms[0].at, reason));
        }
        Ok(bands)
    }

    /// The test that the terms of one field make together.
    fn tests(&self, terms: &[&Term], class: FieldClass) -> Result<FieldTest> {
        let mut wanted = Vec::new();
        let mut has_wanted = false;
        let mut all = Vec::new();
        for term in terms {
            match term.operator {
                Operator::Equals | Operator::In => {
                    has_wanted = true;
                    wanted.extend(self.alternatives(term, class)?);
                }
                Operator::Differs | Operator::NotIn => {
                    let tests = self.alternatives(term, class)?;
                    all.push(FieldTest::not(FieldTest::AnyOf(tests)));
                }
                _ => all.push(self.bound(term, class)?),
            }
        }
        if has_wanted {
            let alternatives = match wanted.len() {
                1 => wanted.remove(0),
                _ => FieldTest::AnyOf(wanted),
            };
            all.insert(0, alternatives);
        }
        Ok(if all.len() == 1 {
            all.remove(0)
        } else {
            FieldTest::AllOf(all)
        })
    }

    fn alternatives(&self, term: &Term, class: FieldClass) -> Result<Vec<FieldTest>> {
        let each = |read: &dyn Fn(&Literal) -> Result<FieldTest>| -> Result<Vec<FieldTest>> {
            term.values.iter().map(read).collect()
        };
        match class {
            FieldClass::Text => each(&|literal| Ok(FieldTest::is(literal.text.as_str()))),
            FieldClass::Number => match term.values.as_slice() {
                [first, last] if term.is_list => {
                    let (low, high) = (self.number(first)?, self.number(last)?);
                    if low > high {
                        let reason = "the range is reversed; exchange its ends";
                        return Err(refuse(self.text, first.at, reason));
                    }
                    Ok(vec![FieldTest::between(low, high)])
                }
                _ => each(&|literal| Ok(FieldTest::is(self.number(literal)?))),
            },
            FieldClass::Time => Ok(self
                .periods(term)?
                .into_iter()
                .map(FieldTest::from)
                .collect()),
            FieldClass::Bool => each(&|literal| match literal.text.to_lowercase().as_str() {
                "true" => Ok(FieldTest::is(true)),
                "false" => Ok(FieldTest::is(false)),
                other => {
                    let reason = format!("expected `true` or `false`, met `{other}`");
                    Err(refuse(self.text, literal.at, reason))
                }
            }),
            FieldClass::Id | FieldClass::Degrees | FieldClass::Object => {
                let reason = format!("`{}` holds {class}, which cannot be searched", term.field);
                Err(refuse(self.text, term.at, reason))
            }
        }
    }

    fn bound(&self, term: &Term, class: FieldClass) -> Result<FieldTest> {
        match (class, term.values.as_slice()) {
            (FieldClass::Number, [literal]) => {
                let number = self.number(literal)?;
                Ok(match term.operator {
                    Operator::Less => FieldTest::less_than(number),
                    Operator::AtMost => FieldTest::at_most(number),
                    Operator::More => FieldTest::more_than(number),
                    _ => FieldTest::at_least(number),
                })
            }
            (FieldClass::Time, _) => match self.time_bound(term)? {
                Some(range) => Ok(range.into()),
                None => Err(self.wrong_operator(term, "`=` or `in`")),
            },
            _ => Err(self.wrong_operator(
                term,
                &format!("`=`, `!=`, `in` or `not in`, for it holds {class}"),
            )),
        }
    }
}

/// All boxes of a band of latitude and one of longitude.
fn area(lat: &[(f64, f64)], lon: &[(f64, f64)]) -> Result<Geometry> {
    let boxes = lat.iter().flat_map(|(south, north)| {
        let corners = move |(west, east): &(f64, f64)| ((*west, *south), (*east, *north));
        lon.iter()
            .map(corners)
            .map(|(low, high)| geo_types::Rect::new(low, high).to_polygon())
    });
    let shape = geo_types::MultiPolygon(boxes.collect());
    Geometry::new(shape, Some(Crs::wgs84()))
        .map_err(|error| Error::invalid_query(format!("lat and lon make no area: {error}")))
}
