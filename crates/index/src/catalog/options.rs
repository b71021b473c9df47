//! How the methods of an index do what they do.

use std::time::Duration;

use datacube_model::Dataset;
use jiff::Timestamp;

/// How an index is made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitOptions {
    /// Whether the built-in metadata types are added (default: yes).
    pub default_types: bool,
    /// Whether the roles `odc_user`, `odc_manage` and `odc_admin` are made
    /// (default: yes), where the index is on a server that has users, is new,
    /// and whoever makes it may make roles.
    pub users: bool,
}

impl Default for InitOptions {
    fn default() -> Self {
        InitOptions {
            default_types: true,
            users: true,
        }
    }
}

impl InitOptions {
    /// Adds the built-in metadata types, or not.
    #[must_use]
    pub fn default_types(mut self, add: bool) -> Self {
        self.default_types = add;
        self
    }

    /// Makes roles for users, or not.
    #[must_use]
    pub fn users(mut self, make: bool) -> Self {
        self.users = make;
        self
    }
}

/// How datasets are added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddOptions {
    /// The time that is noted as the one of indexing (default: now).
    pub indexed_at: Option<Timestamp>,
    /// Whether datasets that say when another index got them keep that time
    /// as the one of indexing (default: no).
    pub keep_indexed: bool,
    /// Whether the relations that documents state are recorded (default: yes).
    pub with_lineage: bool,
    /// Whether what is less mature is archived (default: no): active datasets
    /// of the same product and region whose time is as near as this to that of
    /// the new one. Where one is there that is as mature or more, the new one
    /// is refused ([`crate::Error::LessMature`]).
    pub archive_less_mature: Option<Duration>,
}

impl Default for AddOptions {
    fn default() -> Self {
        AddOptions {
            indexed_at: None,
            keep_indexed: false,
            with_lineage: true,
            archive_less_mature: None,
        }
    }
}

impl AddOptions {
    /// Notes `when` as the time of indexing.
    #[must_use]
    pub fn indexed_at(mut self, when: Timestamp) -> Self {
        self.indexed_at = Some(when);
        self
    }

    /// Keeps the times at which another index got the datasets, or not.
    #[must_use]
    pub fn keep_indexed(mut self, keep: bool) -> Self {
        self.keep_indexed = keep;
        self
    }

    /// When a dataset counts as indexed, added at `now`.
    pub(crate) fn indexed(&self, dataset: &Dataset, now: Timestamp) -> Timestamp {
        dataset
            .indexed()
            .filter(|_| self.keep_indexed)
            .unwrap_or(now)
    }

    /// Records the relations that documents state, or not.
    #[must_use]
    pub fn with_lineage(mut self, record: bool) -> Self {
        self.with_lineage = record;
        self
    }

    /// Archives what is less mature, with times up to `leniency` apart.
    #[must_use]
    pub fn archive_less_mature(mut self, leniency: Duration) -> Self {
        self.archive_less_mature = Some(leniency);
        self
    }
}

/// How a definition is updated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateOptions {
    /// Whether unsafe changes are made too (default: no).
    pub allow_unsafe: bool,
    /// Whether nothing is written (default: no).
    pub dry_run: bool,
}

impl UpdateOptions {
    /// Makes unsafe changes too.
    #[must_use]
    pub fn allow_unsafe(mut self, allow: bool) -> Self {
        self.allow_unsafe = allow;
        self
    }

    /// Writes nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// What an update does with locations that the new dataset does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LocationPolicy {
    /// They stay, after the new ones.
    #[default]
    Keep,
    /// They stay as archived ones, after the new ones.
    Archive,
    /// They go.
    Forget,
}

/// How datasets are updated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateDatasetOptions {
    /// Places of documents at and below which anything may change; an empty
    /// one is the whole document.
    pub allow_any: Vec<Vec<String>>,
    /// What becomes of earlier locations.
    pub locations: LocationPolicy,
    /// As [`AddOptions::archive_less_mature`].
    pub archive_less_mature: Option<Duration>,
    /// Whether nothing is written (default: no).
    pub dry_run: bool,
}

impl UpdateDatasetOptions {
    /// Lets anything change at and below a place: `properties.eo:cloud_cover`
    /// is `["properties", "eo:cloud_cover"]`, nothing the whole document.
    #[must_use]
    pub fn allow_any<S: Into<String>>(mut self, place: impl IntoIterator<Item = S>) -> Self {
        self.allow_any
            .push(place.into_iter().map(Into::into).collect());
        self
    }

    /// Deals with earlier locations in this way.
    #[must_use]
    pub fn locations(mut self, policy: LocationPolicy) -> Self {
        self.locations = policy;
        self
    }

    /// Archives what is less mature, with times up to `leniency` apart.
    #[must_use]
    pub fn archive_less_mature(mut self, leniency: Duration) -> Self {
        self.archive_less_mature = Some(leniency);
        self
    }

    /// Writes nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// How products are deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteOptions {
    /// Whether active datasets go with their product (default: no).
    pub with_active: bool,
    /// Whether nothing is written (default: no).
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Deletes products that have active datasets too.
    #[must_use]
    pub fn with_active(mut self, with_active: bool) -> Self {
        self.with_active = with_active;
        self
    }

    /// Writes nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// How datasets are removed for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeOptions {
    /// Whether active datasets are removed (default: no).
    pub with_active: bool,
    /// Whether nothing is written (default: no).
    pub dry_run: bool,
}

impl PurgeOptions {
    /// Removes active datasets too.
    #[must_use]
    pub fn with_active(mut self, with_active: bool) -> Self {
        self.with_active = with_active;
        self
    }

    /// Writes nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// How relations are recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineageOptions {
    /// Whether a pair may get another classifier (default: no).
    pub allow_updates: bool,
    /// Whether nothing is written (default: no).
    pub dry_run: bool,
}

impl LineageOptions {
    /// Lets pairs get other classifiers.
    #[must_use]
    pub fn allow_updates(mut self, allow: bool) -> Self {
        self.allow_updates = allow;
        self
    }

    /// Writes nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}
