//! From the plan that was written to the plan that runs.
//!
//! Each pass is a function from plan to plan that keeps every pixel. Together
//! they leave, for each output, either a leaf that is looked at (through at
//! most one slice and one broadcast) or one fused program over such leaves, and
//! outputs that share what they read share one program. Regional functions read
//! such leaves and programs too, and what many tasks would ask of one of them is
//! made once, before the tasks that read it.

mod fuse;
mod materialize;
mod project;
mod rechunk;
mod rewrite;
mod share;
mod simplify;
mod slice;

pub use fuse::{fuse, unfuse};
pub use materialize::materialize;
pub use project::project;
pub use rechunk::rechunk;
pub use share::share;
pub use simplify::simplify;
pub use slice::slice;

pub(crate) use rewrite::{with_inputs, with_nodes};

use crate::error::Result;
use crate::plan::Plan;

/// The plan as it runs.
///
/// # Errors
/// Only for a defect of this crate.
pub fn optimize(plan: &Plan) -> Result<Plan> {
    optimize_with(plan, true)
}

/// As [`optimize`]; without `together`, every output has a pass of its own,
/// which reads what is shared again but needs less memory at a time.
pub(crate) fn optimize_with(plan: &Plan, together: bool) -> Result<Plan> {
    let plan = unfuse(plan)?;
    let plan = rechunk(&plan)?;
    let plan = slice(&plan)?;
    let plan = simplify(&plan)?;
    let plan = fuse::fuse_with(&plan, together)?;
    let plan = project(&plan)?;
    materialize(&plan)
}
