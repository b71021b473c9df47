//! A resolved query as one statement over the documents.
//!
//! The rows of each product (or, of many products, those of one metadata type)
//! are an arm of the statement, for where a document has what is asked for
//! depends on its type. Conditions that Python's indexes answer stand at the
//! top of an arm, as Python writes them; everything else is worked out in one
//! verdict: found, or, as NULL, perhaps found. Rows come with the middle of
//! their time range, NULL where only the dataset itself tells it.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/drivers/postgres/{_fields,_dynamic}.py`.

use std::collections::BTreeMap;

use datacube_model::{FieldKind, FieldSource, MetadataType};
use uuid::Uuid;

use super::definitions::Known;
use super::field::{Column, is_told_by_text, joined};
use super::steps::Steps;
use super::times;
use super::times::path;
use crate::footprint::LonLatBox;
use crate::postgres::Statement;
use crate::postgres::document::split_uri;
use crate::query::{ArchivedFilter, UriMatch};
use crate::resolve::{Resolved, Target, Test};

/// Up to so many products have an arm each, and their own indexes.
const MAX_ARMS: usize = 16;

/// More boxes than this are looked for as one.
const MAX_BOXES: usize = 8;

/// How far the degrees that Python noted of a dataset may be from the true
/// ones: it draws edges from corner to corner, whose true course bends away.
/// Here for the largest datasets there are; see [`BEND`] for each row's own.
const MOST_DEG: f64 = 5.0;

/// Beyond this latitude the corners tell nothing about the longitudes.
const POLAR_DEG: f64 = 70.0;

/// Products of one metadata type whose rows are looked for together.
struct Arm<'a> {
    products: Vec<i16>,
    metadata_type: &'a MetadataType,
}

/// A query and what is known of the database.
pub(super) struct Narrow<'a> {
    known: &'a Known,
    resolved: &'a Resolved,
}

impl<'a> Narrow<'a> {
    pub(super) fn new(known: &'a Known, resolved: &'a Resolved) -> Self {
        Narrow { known, resolved }
    }

    /// Whether SQL cannot say of any row that it is found.
    pub(super) fn is_never_sure(&self) -> bool {
        self.resolved.area.is_some()
    }

    /// Middle of the time range, id, and whether the row is surely found; those
    /// whose middle is not known first, then in order, after a place in it.
    pub(super) fn in_order(&self, after: Option<(i64, Uuid)>) -> Statement {
        let mut statement = Statement::default();
        let rows = self.rows(&mut statement);
        let beyond = match after {
            Some((center_us, id)) => {
                let (center_us, id) = (statement.bind(center_us), statement.bind(id));
                format!("WHERE (f.center_us, f.id) > ({center_us}, {id})")
            }
            None => String::new(),
        };
        statement.text = format!(
            "SELECT f.center_us, f.id, f.is_sure FROM ({rows}) AS f {beyond} \
             ORDER BY f.center_us NULLS FIRST, f.id"
        );
        statement
    }

    /// The ids of rows that are found or, `None` for sure, of those that may
    /// be; as [`Self::in_order`] in everything else.
    pub(super) fn unsure(&self) -> Statement {
        let mut statement = Statement::default();
        let rows = self.rows(&mut statement);
        statement.text = format!(
            "SELECT f.center_us, f.id, f.is_sure FROM ({rows}) AS f WHERE f.is_sure IS NULL"
        );
        statement
    }

    /// Sums over all rows: how many are surely found, how many may be, the
    /// earliest beginning and the latest end of the sure ones.
    pub(super) fn summed(&self) -> Statement {
        let mut statement = Statement::default();
        let rows = self.rows(&mut statement);
        statement.text = format!(
            "SELECT count(*) FILTER (WHERE f.is_sure), \
                    count(*) FILTER (WHERE f.is_sure IS NULL OR f.begin_us IS NULL), \
                    min(f.begin_us) FILTER (WHERE f.is_sure), \
                    max(f.end_us) FILTER (WHERE f.is_sure) \
             FROM ({rows}) AS f"
        );
        statement
    }

    /// All rows that may be found: id, time range and its middle, verdict.
    fn rows(&self, statement: &mut Statement) -> String {
        let arms: Vec<String> = self
            .arms()
            .iter()
            .map(|arm| self.arm(statement, arm))
            .collect();
        match arms.as_slice() {
            [] => "SELECT NULL::bigint AS center_us, NULL::bigint AS begin_us, \
                   NULL::bigint AS end_us, NULL::uuid AS id, NULL::boolean AS is_sure WHERE FALSE"
                .to_owned(),
            arms => arms.join(" UNION ALL "),
        }
    }

    fn arms(&self) -> Vec<Arm<'a>> {
        let of_type = |name: &str| {
            let (_, metadata_type) = self.known.definitions.metadata_types.get(name)?;
            Some(metadata_type)
        };
        let products = self
            .known
            .definitions
            .products
            .iter()
            .filter(|(name, _)| match &self.resolved.products {
                Some(names) => names.binary_search(name).is_ok(),
                None => true,
            })
            .filter_map(|(_, (id, product))| Some((*id, of_type(product.metadata_type().name())?)));
        let products: Vec<(i16, &MetadataType)> = products.collect();
        if products.len() <= MAX_ARMS {
            let one = |(product, metadata_type)| Arm {
                products: vec![product],
                metadata_type,
            };
            return products.into_iter().map(one).collect();
        }
        let mut arms: BTreeMap<&str, Arm<'a>> = BTreeMap::new();
        for (product, metadata_type) in products {
            let arm = arms.entry(metadata_type.name()).or_insert_with(|| Arm {
                products: Vec::new(),
                metadata_type,
            });
            arm.products.push(product);
        }
        arms.into_values().collect()
    }

    fn arm(&self, statement: &mut Statement, arm: &Arm<'_>) -> String {
        let resolved = self.resolved;
        let mut rows = Vec::new();
        match arm.products.as_slice() {
            // In the text, so that the server knows which of Python's indexes it may use.
            [product] => rows.push(format!("d.dataset_type_ref = {product}")),
            products => {
                let list = statement.list(products.to_vec());
                rows.push(format!("d.dataset_type_ref = ANY({list})"));
            }
        }
        match resolved.archived {
            ArchivedFilter::Active => rows.push("d.archived IS NULL".to_owned()),
            ArchivedFilter::Archived => rows.push("d.archived IS NOT NULL".to_owned()),
            ArchivedFilter::Any => {}
        }
        if let Some(ids) = &resolved.ids {
            let list = statement.list(ids.iter().copied().collect::<Vec<_>>());
            rows.push(format!("d.id = ANY({list})"));
        }
        if !resolved.uris.is_empty() {
            rows.push(self.located(statement));
        }
        rows.extend(self.indexed(statement, arm));

        let mut steps = Steps::default();
        times::columns(arm.metadata_type, &mut steps);
        let mut verdict = Vec::new();
        if !resolved.times.is_empty() {
            verdict.push(Column::time().times(statement, &resolved.times));
        }
        for (nth, (target, test)) in resolved.fields.iter().enumerate() {
            let column = match target {
                Target::Time => Column::time(),
                Target::IndexedTime => Column::indexed_time(),
                Target::Stored { name, .. } => {
                    Column::of(arm.metadata_type, name, &format!("f{nth}"), &mut steps)
                }
            };
            verdict.push(column.condition(statement, test));
        }
        if resolved.area.is_some() {
            let near = self.near(arm.metadata_type, &mut steps);
            verdict.push(near.unwrap_or_else(|| "NULL::boolean".to_owned()));
        }
        format!(
            "SELECT v.* FROM (SELECT d.begin_us + (d.end_us - d.begin_us) / 2 AS center_us, \
                    d.begin_us, d.end_us, d.id, {verdict} AS is_sure \
             FROM ({rows}) AS d OFFSET 0) AS v WHERE v.is_sure IS NOT FALSE",
            verdict = joined(&verdict, " AND ", "TRUE"),
            rows = steps.rows(&rows.join(" AND ")),
        )
    }

    /// The row has a location that matches.
    fn located(&self, statement: &mut Statement) -> String {
        let mut any = Vec::new();
        for place in &self.resolved.uris {
            let (wanted, function) = match place {
                UriMatch::Exact(uri) => (uri, "="),
                UriMatch::Prefix(start) => (start, "starts_with"),
            };
            let condition = match (split_uri(wanted), function) {
                ((Some(scheme), body), "=") => format!(
                    "(l.uri_scheme = {} AND l.uri_body = {})",
                    statement.bind(scheme),
                    statement.bind(body)
                ),
                ((Some(scheme), body), _) => format!(
                    "(l.uri_scheme = {} AND starts_with(l.uri_body, {}))",
                    statement.bind(scheme),
                    statement.bind(body)
                ),
                ((None, _), "=") => "FALSE".to_owned(),
                ((None, start), _) => {
                    format!(
                        "starts_with(l.uri_scheme || ':', {})",
                        statement.bind(start)
                    )
                }
            };
            any.push(condition);
        }
        let active = match self.resolved.archived {
            ArchivedFilter::Active => "l.archived IS NULL AND ",
            _ => "",
        };
        format!(
            "d.id IN (SELECT l.dataset_ref FROM agdc.dataset_location AS l WHERE {active}{})",
            joined(&any, " OR ", "FALSE")
        )
    }

    /// Conditions in Python's words, for its indexes of active datasets. The
    /// casts in them may fail on odd values, of which there are none where
    /// there is an index.
    fn indexed(&self, statement: &mut Statement, arm: &Arm<'_>) -> Vec<String> {
        let mut all = Vec::new();
        let ([product], ArchivedFilter::Active) = (arm.products.as_slice(), self.resolved.archived)
        else {
            return all;
        };
        let has_index = |field: &str| {
            let field = arm.metadata_type.field(field);
            field.is_some_and(|field| match &field.source {
                FieldSource::Offset(offset) => {
                    self.known.has_index(*product, std::iter::once(offset))
                }
                FieldSource::Range { min, max } => {
                    self.known.has_index(*product, min.iter().chain(max))
                }
            })
        };
        if has_index("time")
            && let Some((low, high)) = self.time_hull()
        {
            all.extend(times::indexed(arm.metadata_type, low, high));
        }
        if let Some(area) = &self.resolved.area
            && has_index("lat")
            && has_index("lon")
        {
            let boxes = boxes_of(
                &area.footprint().search_boxes(),
                area.footprint().search_bounds(),
            );
            all.extend(self.in_degrees(arm.metadata_type, &boxes));
        }
        for (target, test) in &self.resolved.fields {
            let (Target::Stored { name, .. }, Some(texts)) = (target, texts_of(test)) else {
                continue;
            };
            let field = arm.metadata_type.field(name);
            let Some(FieldSource::Offset(offset)) = field.map(|field| &field.source) else {
                continue;
            };
            let is_text = field.is_some_and(|field| field.kind == FieldKind::String);
            if is_text && has_index(name) && texts.iter().all(|text| is_told_by_text(text)) {
                let value = format!("(d.metadata #>> {})", path(offset));
                all.push(match texts.as_slice() {
                    [only] => format!("{value} = {}", statement.bind(only.clone())),
                    _ => format!("{value} = ANY({})", statement.list(texts)),
                });
            }
        }
        all
    }

    /// What every time that is asked for lies between.
    fn time_hull(&self) -> Option<(i64, i64)> {
        let mut hull: Option<(i64, i64)> = None;
        let mut narrow = |low: i64, high: i64| {
            hull = Some(match hull {
                Some((from, to)) => (from.max(low), to.min(high)),
                None => (low, high),
            });
        };
        if let (Some(first), Some(last)) = (self.resolved.times.first(), self.resolved.times.last())
        {
            narrow(first.0, last.1);
        }
        for (target, test) in &self.resolved.fields {
            if let (Target::Time, Test::Time(low, high)) = (target, test) {
                narrow(*low, *high);
            }
        }
        // Ranges that do not meet may still both meet a long dataset.
        hull.map(|(low, high)| (low.min(high), low.max(high)))
    }

    /// The area, in the degrees that Python's index has.
    fn in_degrees(&self, metadata_type: &MetadataType, boxes: &[LonLatBox]) -> Option<String> {
        let lat = range_of(metadata_type, "lat")?;
        let lon = range_of(metadata_type, "lon")?;
        let boxes = boxes.iter().map(|bounds| {
            let latitudes = lat.meets(bounds.south - MOST_DEG, bounds.north + MOST_DEG);
            match longitudes(bounds) {
                None => latitudes,
                Some(ranges) => {
                    let ranges: Vec<String> = ranges
                        .iter()
                        .map(|(west, east)| lon.meets(west - MOST_DEG, east + MOST_DEG))
                        .collect();
                    format!("({latitudes} AND {})", joined(&ranges, " OR ", "TRUE"))
                }
            }
        });
        let boxes: Vec<String> = boxes.collect();
        Some(joined(&boxes, " OR ", "TRUE"))
    }

    /// Whether a row may lie in the area, by the degrees that Python noted of
    /// it; `None` where it notes none for the type.
    fn near(&self, metadata_type: &MetadataType, steps: &mut Steps) -> Option<String> {
        let area = self.resolved.area.as_ref()?;
        let ends = |name: &str| match &metadata_type.field(name)?.source {
            FieldSource::Range { min, max } => {
                Some((least_of("least", min), least_of("greatest", max)))
            }
            FieldSource::Offset(_) => None,
        };
        let ((south, north), (west, east)) = (ends("lat")?, ends("lon")?);
        for (value, name) in [
            (south, "south"),
            (north, "north"),
            (west, "west"),
            (east, "east"),
        ] {
            steps.add(0, format!("{value} AS {name}"));
        }
        steps.add(1, format!("{BEND} AS bend"));
        let boxes = boxes_of(
            &area.footprint().search_boxes(),
            area.footprint().search_bounds(),
        );
        let meets = boxes.iter().map(|bounds| {
            let latitudes = format!(
                "d.south - d.bend <= {:?} AND d.north + d.bend >= {:?}",
                bounds.north, bounds.south
            );
            match longitudes(bounds) {
                None => format!("({latitudes})"),
                Some(ranges) => {
                    let ranges: Vec<String> = ranges
                        .iter()
                        .map(|(west, east)| {
                            format!("(d.west - d.bend <= {east:?} AND d.east + d.bend >= {west:?})")
                        })
                        .collect();
                    format!("({latitudes} AND {})", joined(&ranges, " OR ", "TRUE"))
                }
            }
        });
        let meets: Vec<String> = meets.collect();
        // Nothing noted: not met is not known either.
        Some(format!(
            "(CASE WHEN NOT {} THEN FALSE END)",
            joined(&meets, " OR ", "TRUE")
        ))
    }
}

/// How far the true outline of a row may reach beyond the degrees noted of it:
/// the more, the longer its edges.
const BEND: &str = "0.05 + 0.1 * greatest(d.north - d.south, d.east - d.west)";

/// Boxes to look in, one around all where there are many; those near a pole
/// reach all the way.
fn boxes_of(each: &[LonLatBox], all: Vec<LonLatBox>) -> Vec<LonLatBox> {
    let mut boxes = if each.len() > MAX_BOXES {
        all
    } else {
        each.to_vec()
    };
    for bounds in &mut boxes {
        if bounds.north > POLAR_DEG - MOST_DEG {
            bounds.north = 90.0;
            bounds.south = bounds.south.min(POLAR_DEG - MOST_DEG);
        }
        if bounds.south < MOST_DEG - POLAR_DEG {
            bounds.south = -90.0;
            bounds.north = bounds.north.max(MOST_DEG - POLAR_DEG);
        }
    }
    boxes
}

/// The longitudes of a box, as they may be noted: within a turn of each other.
/// `None` for any, near a pole.
fn longitudes(bounds: &LonLatBox) -> Option<Vec<(f64, f64)>> {
    if bounds.north >= 90.0 || bounds.south <= -90.0 || bounds.east - bounds.west >= 360.0 {
        return None;
    }
    Some(
        [0.0, 360.0, -360.0]
            .into_iter()
            .map(|turn| (bounds.west + turn, bounds.east + turn))
            .filter(|(west, east)| *west <= 360.0 && *east >= -360.0)
            .collect(),
    )
}

fn least_of(function: &str, offsets: &[Vec<String>]) -> String {
    let numbers: Vec<String> = offsets
        .iter()
        .map(|offset| {
            let path = path(offset);
            format!(
                "CASE WHEN jsonb_typeof(d.metadata #> {path}) = 'number' \
                 THEN (d.metadata #>> {path})::float8 END"
            )
        })
        .collect();
    format!("{function}({})", numbers.join(", "))
}

/// A range of numbers as Python indexes it.
struct IndexedRange {
    value: String,
    function: &'static str,
}

fn range_of(metadata_type: &MetadataType, name: &str) -> Option<IndexedRange> {
    let field = metadata_type.field(name)?;
    let FieldSource::Range { min, max } = &field.source else {
        return None;
    };
    let (function, of_type) = match field.kind {
        FieldKind::DoubleRange => ("agdc.float8range", "double precision"),
        FieldKind::NumericRange => ("numrange", "numeric"),
        _ => return None,
    };
    let end = |select: &str, offsets: &[Vec<String>]| {
        let values: Vec<String> = offsets
            .iter()
            .map(|offset| format!("CAST(d.metadata #>> {} AS {of_type})", path(offset)))
            .collect();
        match values.as_slice() {
            [only] => only.clone(),
            _ => format!("{select}({})", values.join(", ")),
        }
    };
    Some(IndexedRange {
        value: format!(
            "{function}({}, {}, '[]')",
            end("least", min),
            end("greatest", max)
        ),
        function,
    })
}

impl IndexedRange {
    fn meets(&self, low: f64, high: f64) -> String {
        format!(
            "{} && {}({low:?}, {high:?}, '[]')",
            self.value, self.function
        )
    }
}

/// The texts of which a value has to be one.
fn texts_of(test: &Test) -> Option<Vec<String>> {
    match test {
        Test::Text(text) => Some(vec![text.clone()]),
        Test::Any(tests) if !tests.is_empty() => tests
            .iter()
            .map(|test| test.as_text().map(str::to_owned))
            .collect(),
        _ => None,
    }
}
