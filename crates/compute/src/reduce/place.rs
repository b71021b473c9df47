//! States that pick one pixel: the smallest and largest, the first and last, and
//! where they are.

use super::Reduce;
use super::planes::Part;
use super::state::{ALL_NAN, EMPTY, State, Value, Wide};

/// The smallest or largest; of equals the one met first.
#[derive(Clone, Copy)]
pub(super) struct Extreme<W, const LARGEST: bool> {
    best: W,
    /// Nothing yet, a value, or NaN where NaN counts.
    found: Found,
}

/// What has been met.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
#[repr(u64)]
pub(super) enum Found {
    /// No pixel.
    Nothing = 0,
    /// Pixels, all of them left out.
    Skipped = 1,
    /// A value.
    Value = 2,
    /// NaN, where it counts.
    Nan = 3,
}

impl Part for Found {
    fn word(self) -> u64 {
        self as u64
    }

    fn of_word(word: u64) -> Found {
        match word {
            0 => Found::Nothing,
            1 => Found::Skipped,
            2 => Found::Value,
            _ => Found::Nan,
        }
    }
}

impl<W: Wide, const LARGEST: bool> State<W> for Extreme<W, LARGEST> {
    type Parts = (W, Found);

    fn new() -> Self {
        Extreme {
            best: W::ZERO,
            found: Found::Nothing,
        }
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, skipna: bool) {
        // Without branches, so that neighbours are taken at a time.
        let nan = x.is_nan();
        let better = if LARGEST {
            x > self.best
        } else {
            x < self.best
        };
        let first = self.found < Found::Value;
        let take = !nan & (first | (better & (self.found == Found::Value)));
        self.best = if take { x } else { self.best };
        let found = match (nan, skipna) {
            (false, _) => Found::Value,
            (true, true) => Found::Skipped,
            (true, false) => Found::Nan,
        };
        self.found = if found > self.found {
            found
        } else {
            self.found
        };
    }

    fn merge(&mut self, later: &Self) {
        match later.found {
            Found::Value => State::<W>::push(self, later.best, 0, true),
            Found::Nan => self.found = Found::Nan,
            Found::Skipped if self.found == Found::Nothing => self.found = Found::Skipped,
            Found::Nothing | Found::Skipped => {}
        }
    }

    #[inline(always)]
    fn finish(&self, _: &Reduce) -> Result<Value, &'static str> {
        match self.found {
            Found::Value => Ok(self.best.value()),
            Found::Skipped | Found::Nan => Ok(Value::Float(f64::NAN)),
            Found::Nothing => Err(EMPTY),
        }
    }

    #[inline(always)]
    fn parts(self) -> Self::Parts {
        (self.best, self.found)
    }

    #[inline(always)]
    fn of_parts((best, found): Self::Parts) -> Self {
        Extreme { best, found }
    }
}

/// What is compared to find a place.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pick {
    Smallest,
    Largest,
    First,
    Last,
}

/// A pixel and where it was: first, last, smallest, largest.
#[derive(Clone, Copy)]
pub(super) struct Place<W, const PICK: u8> {
    best: W,
    at: u64,
    found: Found,
}

/// [`Pick`] as a parameter of a type.
pub(super) const SMALLEST: u8 = 0;
pub(super) const LARGEST: u8 = 1;
pub(super) const FIRST: u8 = 2;
pub(super) const LAST: u8 = 3;

impl<W: Wide, const PICK: u8> Place<W, PICK> {
    const KIND: Pick = match PICK {
        SMALLEST => Pick::Smallest,
        LARGEST => Pick::Largest,
        FIRST => Pick::First,
        _ => Pick::Last,
    };

    /// Whether a value later found elsewhere takes the place of this one.
    #[inline(always)]
    fn loses_to(&self, x: W, at: u64, nan: bool) -> bool {
        match (self.found, Self::KIND) {
            (Found::Nothing | Found::Skipped, _) => true,
            (_, Pick::First) => at < self.at,
            (_, Pick::Last) => at > self.at,
            // The first NaN is where numpy finds both extremes.
            (Found::Nan, _) => nan && at < self.at,
            (Found::Value, _) if nan => true,
            (Found::Value, Pick::Smallest) => x < self.best || (x == self.best && at < self.at),
            (Found::Value, Pick::Largest) => x > self.best || (x == self.best && at < self.at),
        }
    }
}

impl<W: Wide, const PICK: u8> State<W> for Place<W, PICK> {
    type Parts = (W, u64, Found);

    fn new() -> Self {
        Place {
            best: W::ZERO,
            at: 0,
            found: Found::Nothing,
        }
    }

    #[inline(always)]
    fn push(&mut self, x: W, at: u64, skipna: bool) {
        let nan = x.is_nan();
        if nan && skipna {
            if self.found == Found::Nothing {
                self.found = Found::Skipped;
            }
        } else if self.loses_to(x, at, nan) {
            *self = Place {
                best: x,
                at,
                found: if nan { Found::Nan } else { Found::Value },
            };
        }
    }

    fn merge(&mut self, later: &Self) {
        match later.found {
            Found::Nothing => {}
            Found::Skipped if self.found == Found::Nothing => self.found = Found::Skipped,
            Found::Skipped => {}
            Found::Value | Found::Nan => {
                if self.loses_to(later.best, later.at, later.found == Found::Nan) {
                    *self = *later;
                }
            }
        }
    }

    #[inline(always)]
    fn finish(&self, _: &Reduce) -> Result<Value, &'static str> {
        let place = matches!(Self::KIND, Pick::Smallest | Pick::Largest);
        match self.found {
            Found::Nothing => Err(EMPTY),
            Found::Skipped if place => Err(ALL_NAN),
            Found::Skipped => Ok(Value::Float(f64::NAN)),
            Found::Value | Found::Nan if place => Ok(Value::Int(self.at.cast_signed())),
            Found::Value | Found::Nan => Ok(self.best.value()),
        }
    }

    #[inline(always)]
    fn parts(self) -> Self::Parts {
        (self.best, self.at, self.found)
    }

    #[inline(always)]
    fn of_parts((best, at, found): Self::Parts) -> Self {
        Place { best, at, found }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ReduceOp;
    use super::super::state::tests::of;
    use super::*;

    #[test]
    fn places() {
        let values = [f64::NAN, 3.0, 1.0, 3.0, 1.0];
        assert_eq!(of::<Place<f64, SMALLEST>>(ReduceOp::ArgMin, &values), 2.0);
        assert_eq!(of::<Place<f64, LARGEST>>(ReduceOp::ArgMax, &values), 1.0);
        assert_eq!(of::<Place<f64, FIRST>>(ReduceOp::First, &values), 3.0);
        assert_eq!(of::<Place<f64, LAST>>(ReduceOp::Last, &values), 1.0);
        let mut late = Place::<f64, LARGEST>::new();
        late.push(3.0, 9, true);
        let mut early = Place::<f64, LARGEST>::new();
        early.push(3.0, 4, true);
        late.merge(&early);
        assert_eq!(late.at, 4);
    }
}
