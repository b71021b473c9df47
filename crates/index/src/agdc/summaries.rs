//! What can be said of many datasets without reading them, as far as SQL tells.

use jiff::Timestamp;

use super::AgdcIndex;
use super::narrow::Narrow;
use super::search::Search;
use crate::catalog::defaults;
use crate::error::Result;
use crate::postgres::retried;
use crate::postgres::types::Instant;
use crate::query::Query;
use crate::time_range::{TimeRange, from_micros};

/// Sums over what a query finds.
pub(super) struct Sums {
    /// How many are surely found.
    pub(super) n_sure: u64,
    /// How many have to be looked into.
    pub(super) n_open: u64,
    begin_us: Option<i64>,
    end_us: Option<i64>,
}

impl AgdcIndex {
    pub(super) async fn sums(&self, search: &Search) -> Result<Sums> {
        let narrow = Narrow::new(&search.known, &search.resolved);
        let (n_sure, n_open, begin_us, end_us): (i64, i64, Option<i64>, Option<i64>) = retried!(self, "sum up datasets", connection => {
            narrow.summed().query().fetch_one(&mut *connection)
        })?;
        Ok(Sums {
            n_sure: n_sure.unsigned_abs(),
            n_open: n_open.unsigned_abs(),
            begin_us,
            end_us,
        })
    }

    pub(super) async fn times_of(&self, query: &Query) -> Result<Option<TimeRange>> {
        let all = Query {
            limit: None,
            order: Vec::new(),
            ..query.clone()
        };
        let Some(search) = self.begin_search(&all).await? else {
            return Ok(None);
        };
        if !Narrow::new(&search.known, &search.resolved).is_never_sure() {
            let sums = self.sums(&search).await?;
            if sums.n_open == 0 {
                let ends = sums.begin_us.zip(sums.end_us);
                return ends
                    .map(|(begin, end)| TimeRange::between(from_micros(begin), from_micros(end)))
                    .transpose();
            }
        }
        defaults::temporal_extent(self, query).await
    }

    pub(super) async fn last_change_of(&self, product: &str) -> Result<Option<Timestamp>> {
        let known = self.known().await?;
        let (id, _) = known.definitions.product(product)?;
        let statement = if known.has_updated {
            "SELECT max(greatest(added, updated, archived)) FROM agdc.dataset \
             WHERE dataset_type_ref = $1"
        } else {
            "SELECT max(greatest(added, archived)) FROM agdc.dataset WHERE dataset_type_ref = $1"
        };
        let last: Option<Instant> = retried!(self, "read datasets", connection => {
            sqlx::query_scalar(statement).bind(id).fetch_one(&mut *connection)
        })?;
        Ok(last.map(|us| from_micros(us.0)))
    }
}
