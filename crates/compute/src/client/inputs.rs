//! What a submitted function may take: futures, alone, in tuples and in lists.

use super::calls::Run;
use super::future::{Future, Value};
use crate::error::{CallFailure, Result};
use std::sync::Weak;

mod sealed {
    pub trait Sealed {}
}

/// Futures that a function takes as inputs: one, a tuple of up to four, or a
/// list. The function gets each result as a [`Value`], without a copy.
pub trait Inputs: sealed::Sealed + Send + 'static {
    /// What the function gets.
    type Values;

    #[doc(hidden)]
    fn count(&self) -> usize;

    #[doc(hidden)]
    fn tell(&self, user: &Dependent);

    #[doc(hidden)]
    fn values(&self) -> Result<Self::Values, CallFailure>;
}

/// Who wants to know when an input has ended.
#[doc(hidden)]
#[derive(Clone)]
pub struct Dependent(pub(super) Weak<dyn Run>);

impl std::fmt::Debug for Dependent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dependent")
    }
}

impl<T> sealed::Sealed for Future<T> {}

impl<T: Send + Sync + 'static> Inputs for Future<T> {
    type Values = Value<T>;

    fn count(&self) -> usize {
        1
    }

    fn tell(&self, user: &Dependent) {
        let user = user.clone();
        self.0.on_end(Box::new(move || {
            if let Some(user) = user.0.upgrade() {
                user.input_ended();
            }
        }));
    }

    fn values(&self) -> Result<Value<T>, CallFailure> {
        self.value().map_err(CallFailure::Input)
    }
}

impl<I: Inputs> sealed::Sealed for Vec<I> {}

impl<I: Inputs> Inputs for Vec<I> {
    type Values = Vec<I::Values>;

    fn count(&self) -> usize {
        self.iter().map(Inputs::count).sum()
    }

    fn tell(&self, user: &Dependent) {
        for input in self {
            input.tell(user);
        }
    }

    fn values(&self) -> Result<Self::Values, CallFailure> {
        self.iter().map(Inputs::values).collect()
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: Inputs),+> sealed::Sealed for ($($name,)+) {}

        #[allow(non_snake_case, reason = "a field is called as its type")]
        impl<$($name: Inputs),+> Inputs for ($($name,)+) {
            type Values = ($($name::Values,)+);

            fn count(&self) -> usize {
                let ($($name,)+) = self;
                0 $(+ $name.count())+
            }

            fn tell(&self, user: &Dependent) {
                let ($($name,)+) = self;
                $($name.tell(user);)+
            }

            fn values(&self) -> Result<Self::Values, CallFailure> {
                let ($($name,)+) = self;
                Ok(($($name.values()?,)+))
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
