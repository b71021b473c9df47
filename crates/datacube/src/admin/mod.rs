//! What an operator does with an index: define, update, archive, remove, copy.
//!
//! Every call comes twice, as all of [`Datacube`]: blocking under its plain
//! name, and awaited under the name with `_async`. One file holds one group.

/// Methods of `Datacube` from one body each: a blocking one and an awaited one.
///
/// `name / awaited (index, argument: type = owned) -> output { body }`; the body
/// sees the index and its arguments as values of its own (arguments that are so
/// already need no `= owned`).
macro_rules! both {
    ($(
        $(#[$meta:meta])*
        $name:ident / $awaited:ident (
            $index:ident $(, $arg:ident: $kind:ty $(= $own:expr)?)* $(,)?
        ) -> $output:ty $body:block
    )*) => {
        impl $crate::Datacube {
            $(
                $(#[$meta])*
                pub fn $name(&self $(, $arg: $kind)*) -> $crate::Result<$output> {
                    let $index = self.index().clone();
                    $($(let $arg = $own;)?)*
                    self.opened().block_on(async move $body)
                }

                #[doc = concat!("[`Datacube::", stringify!($name), "`](crate::Datacube::", stringify!($name), "), awaited.")]
                #[doc = ""]
                #[doc = "# Errors"]
                #[doc = concat!("As [`Datacube::", stringify!($name), "`](crate::Datacube::", stringify!($name), ").")]
                pub async fn $awaited(&self $(, $arg: $kind)*) -> $crate::Result<$output> {
                    let $index = self.index().clone();
                    $($(let $arg = $own;)?)*
                    self.opened().spawn(async move $body).await
                }
            )*
        }
    };
}

mod add;
mod datasets;
mod definitions;
mod lineage;
mod period;
mod server;
mod system;
#[cfg(test)]
mod tests;
mod update;

pub use add::MatchOptions;
pub(crate) use add::add_datasets;
pub use definitions::{DefinitionOptions, UpdatedDefinition};
pub use period::Period;
pub use update::{DocumentUpdate, UpdatedDocument, allowed_paths};
