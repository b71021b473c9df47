//! Test data that lies beside the project.

pub(crate) use datacube_testkit::shared;
