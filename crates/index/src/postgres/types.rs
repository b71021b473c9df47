//! PostgreSQL's own types as they cross the wire, in binary and both ways.
//!
//! `timestamptz` is microseconds since 1970 here as everywhere in this crate,
//! `jsonb` is the text of a document, `numeric` the double whose shortest
//! decimal it is, and a PostGIS geometry a footprint.
//!
//! # Source
//! PostgreSQL 15, `src/backend/utils/adt/{timestamp,jsonb,numeric}.c` (`*_recv`,
//! `*_send`); PostGIS, "Extended WKB".

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef, Postgres,
};
use sqlx::{Decode, Encode, Type};

use crate::footprint::Footprint;

/// From 1970 to 2000, where PostgreSQL begins to count.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);
const NUMERIC: Oid = Oid(1700);
const NUMERIC_ARRAY: Oid = Oid(1231);
const JSONB: Oid = Oid(3802);
const JSONB_ARRAY: Oid = Oid(3807);

/// Says which type of PostgreSQL a type of ours is.
macro_rules! pg_type {
    ($name:ty, $oid:expr, $array:expr) => {
        impl Type<Postgres> for $name {
            fn type_info() -> PgTypeInfo {
                PgTypeInfo::with_oid($oid)
            }
        }

        impl PgHasArrayType for $name {
            fn array_type_info() -> PgTypeInfo {
                PgTypeInfo::with_oid($array)
            }
        }
    };
}

/// A `timestamptz`, in microseconds since 1970; the ends of `i64` are the
/// infinite times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant(pub(crate) i64);

pg_type!(Instant, TIMESTAMPTZ, TIMESTAMPTZ_ARRAY);

/// The first instant of a `timestamptz`, in 4714 BC.
const FIRST_US: i64 = -210_866_803_200_000_000;

impl Encode<'_, Postgres> for Instant {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let us = match self.0 {
            us if us < FIRST_US => i64::MIN,
            i64::MAX => i64::MAX,
            us => us - EPOCH_2000_US,
        };
        buffer.extend_from_slice(&us.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Instant {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let bytes: [u8; 8] = binary(&value)?.try_into()?;
        Ok(Instant(match i64::from_be_bytes(bytes) {
            us @ (i64::MIN | i64::MAX) => us,
            us => us.saturating_add(EPOCH_2000_US),
        }))
    }
}

/// A `jsonb` as the text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Json(pub(crate) String);

pg_type!(Json, JSONB, JSONB_ARRAY);

/// The version of jsonb's wire format that there is.
const JSONB_VERSION: u8 = 1;

impl Encode<'_, Postgres> for Json {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.push(JSONB_VERSION);
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Json {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match binary(&value)? {
            [JSONB_VERSION, text @ ..] => Ok(Json(std::str::from_utf8(text)?.to_owned())),
            _ => Err("jsonb in an unknown wire format".into()),
        }
    }
}

/// A finite `numeric`: the shortest decimal that reads back as the double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decimal(pub(crate) f64);

pg_type!(Decimal, NUMERIC, NUMERIC_ARRAY);

impl Encode<'_, Postgres> for Decimal {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let number = Digits::of(self.0).ok_or("a numeric has to be finite")?;
        let n_groups = i16::try_from(number.groups.len())?;
        buffer.extend_from_slice(&n_groups.to_be_bytes());
        buffer.extend_from_slice(&number.weight.to_be_bytes());
        let sign: u16 = if number.is_negative { 0x4000 } else { 0 };
        buffer.extend_from_slice(&sign.to_be_bytes());
        buffer.extend_from_slice(&number.n_decimals.to_be_bytes());
        for group in number.groups {
            buffer.extend_from_slice(&group.to_be_bytes());
        }
        Ok(IsNull::No)
    }
}

/// A decimal in groups of four digits, as PostgreSQL has it.
#[derive(Debug, PartialEq, Eq)]
struct Digits {
    is_negative: bool,
    /// The first group counts ten thousands to this power.
    weight: i16,
    groups: Vec<i16>,
    n_decimals: u16,
}

impl Digits {
    fn of(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let text = format!("{:e}", value.abs());
        let (mantissa, exponent) = text.split_once('e')?;
        let exponent: i16 = exponent.parse().ok()?;
        let digits: Vec<u8> = mantissa
            .bytes()
            .filter(u8::is_ascii_digit)
            .map(|digit| digit - b'0')
            .collect();
        if digits.iter().all(|digit| *digit == 0) {
            return Some(Digits {
                is_negative: false,
                weight: 0,
                groups: Vec::new(),
                n_decimals: 0,
            });
        }
        let weight = exponent.div_euclid(4);
        // Zeros that make the first group a whole one.
        let n_before = 3 - usize::try_from(exponent.rem_euclid(4)).ok()?;
        let mut padded = vec![0; n_before];
        padded.extend(&digits);
        let groups = padded
            .chunks(4)
            .map(|chunk| {
                (0..4).fold(0_i16, |group, i| {
                    group * 10 + i16::from(chunk.get(i).copied().unwrap_or(0))
                })
            })
            .collect();
        let n_after = i32::try_from(digits.len()).ok()? - 1 - i32::from(exponent);
        Some(Digits {
            is_negative: value < 0.0,
            weight,
            groups,
            n_decimals: u16::try_from(n_after.max(0)).ok()?,
        })
    }
}

/// A PostGIS geometry that is a footprint; `None` inside for a geometry that
/// this crate does not write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outline(pub(crate) Option<Footprint>);

impl Type<Postgres> for Outline {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("geometry")
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        use sqlx::TypeInfo;
        ty.name().eq_ignore_ascii_case("geometry")
    }
}

impl Decode<'_, Postgres> for Outline {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Outline(Footprint::from_wkb(binary(&value)?)))
    }
}

fn binary<'r>(value: &PgValueRef<'r>) -> Result<&'r [u8], BoxDynError> {
    match value.format() {
        PgValueFormat::Binary => value.as_bytes(),
        PgValueFormat::Text => Err("only values in binary are read".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_cut_into_groups_of_four_digits() {
        let check = |value: f64, weight: i16, groups: &[i16], n_decimals: u16| {
            let digits = Digits::of(value).expect("finite");
            let expected = Digits {
                is_negative: value < 0.0,
                weight,
                groups: groups.to_vec(),
                n_decimals,
            };
            assert_eq!(digits, expected, "{value}");
        };
        check(0.0, 0, &[], 0);
        check(-0.0, 0, &[], 0);
        check(1.0, 0, &[1], 0);
        check(-1.5, 0, &[1, 5000], 1);
        check(13.34, 0, &[13, 3400], 2);
        check(10000.0, 1, &[1], 0);
        check(123_456.789, 1, &[12, 3456, 7890], 3);
        check(0.0001, -1, &[1], 4);
        check(0.00012345, -1, &[1, 2345], 8);
        check(-37.721518995084836, 0, &[37, 7215, 1899, 5084, 8360], 15);
        check(1e300, 75, &[1], 0);
        check(1e-300, -75, &[1], 300);
        assert_eq!(Digits::of(f64::NAN), None);
        assert_eq!(Digits::of(f64::INFINITY), None);
    }
}
