//! Geometries: GeoJSON to well-known binary, and back.
//!
//! Heights are kept (as ISO WKB has them, 1000 above the plain codes).

use serde_json::{Value, json};

/// The code of a kind, and how deep its coordinates are nested.
const KINDS: [(&str, u32, usize); 6] = [
    ("Point", 1, 0),
    ("LineString", 2, 1),
    ("Polygon", 3, 2),
    ("MultiPoint", 4, 1),
    ("MultiLineString", 5, 2),
    ("MultiPolygon", 6, 3),
];
const COLLECTION: u32 = 7;

/// A GeoJSON geometry as WKB, little-endian; what is wrong with it otherwise.
pub(crate) fn write(geometry: &Value) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    put(geometry, &mut out)?;
    Ok(out)
}

fn put(geometry: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let kind = geometry["type"].as_str().unwrap_or_default();
    if kind == "GeometryCollection" {
        let parts = geometry["geometries"]
            .as_array()
            .ok_or("geometries is no list")?;
        head(COLLECTION, out);
        count(parts.len(), out)?;
        return parts.iter().try_for_each(|part| put(part, out));
    }
    let known = KINDS.iter().find(|(name, _, _)| *name == kind);
    let (_, code, depth) =
        known.ok_or_else(|| format!("geometry.type is `{kind}`, which is no geometry"))?;
    let coordinates = &geometry["coordinates"];
    let high = first_position(coordinates, *depth).is_some_and(|position| position.len() > 2);
    coordinates_of(coordinates, *code, *depth, high, out)
}

fn first_position(coordinates: &Value, depth: usize) -> Option<&Vec<Value>> {
    let items = coordinates.as_array()?;
    if depth == 0 {
        Some(items)
    } else {
        first_position(items.first()?, depth - 1)
    }
}

fn head(code: u32, out: &mut Vec<u8>) {
    out.push(1);
    out.extend(code.to_le_bytes());
}

fn count(n: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let n = u32::try_from(n).map_err(|_| "more than 4,294,967,295 coordinates")?;
    out.extend(n.to_le_bytes());
    Ok(())
}

fn coordinates_of(
    value: &Value,
    code: u32,
    depth: usize,
    high: bool,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    head(if high { code + 1000 } else { code }, out);
    if code >= 4 {
        // Parts of a multi-geometry are geometries of their own.
        let parts = list(value)?;
        count(parts.len(), out)?;
        return parts
            .iter()
            .try_for_each(|part| coordinates_of(part, code - 3, depth - 1, high, out));
    }
    nested(value, depth, high, out)
}

fn nested(value: &Value, depth: usize, high: bool, out: &mut Vec<u8>) -> Result<(), String> {
    let items = list(value)?;
    if depth > 0 {
        count(items.len(), out)?;
        return items
            .iter()
            .try_for_each(|item| nested(item, depth - 1, high, out));
    }
    for axis in 0..if high { 3 } else { 2 } {
        let number = items.get(axis).and_then(Value::as_f64);
        out.extend(
            number
                .ok_or("geometry.coordinates holds a position of fewer numbers")?
                .to_le_bytes(),
        );
    }
    Ok(())
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value
        .as_array()
        .ok_or_else(|| "geometry.coordinates are not nested as the type has it".to_owned())
}

/// WKB as a GeoJSON geometry, in either byte order.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut input = Input {
        bytes,
        little: true,
        depth: 0,
    };
    let geometry = input.geometry()?;
    if input.bytes.is_empty() {
        Ok(geometry)
    } else {
        Err("bytes after the geometry".into())
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    little: bool,
    depth: usize,
}

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or("the geometry is cut short")?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, String> {
        let bytes = self.take()?;
        Ok(if self.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }

    fn f64(&mut self) -> Result<f64, String> {
        let bytes = self.take()?;
        Ok(if self.little {
            f64::from_le_bytes(bytes)
        } else {
            f64::from_be_bytes(bytes)
        })
    }

    fn geometry(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > 16 {
            return Err("geometries nested more than 16 deep".into());
        }
        self.little = self.take::<1>()?[0] == 1;
        let code = self.u32()?;
        // EWKB has flags where ISO has thousands, and an SRID of its own.
        let extended = code & 0xe000_0000;
        if extended & 0x2000_0000 != 0 {
            self.u32()?;
        }
        let code = code & 0x1fff_ffff;
        let (code, thousands) = (code % 1000, code / 1000);
        let axes = match (thousands, extended >> 30) {
            (0, 0) => 2,
            (3, _) | (0, 3) => 4,
            (1 | 2, _) | (0, _) => 3,
            _ => return Err(format!("the code of the geometry is {code}")),
        };
        let value = if code == COLLECTION {
            let n = self.u32()?;
            let parts: Result<Vec<Value>, String> = (0..n).map(|_| self.geometry()).collect();
            json!({"type": "GeometryCollection", "geometries": parts?})
        } else {
            let known = KINDS.iter().find(|(_, known, _)| *known == code);
            let (name, _, depth) =
                known.ok_or_else(|| format!("the code of the geometry is {code}"))?;
            let coordinates = if code >= 4 {
                let n = self.u32()?;
                let parts: Result<Vec<Value>, String> = (0..n)
                    .map(|_| Ok(self.geometry()?["coordinates"].take()))
                    .collect();
                Value::Array(parts?)
            } else {
                self.nested(*depth, axes)?
            };
            json!({"type": name, "coordinates": coordinates})
        };
        self.depth -= 1;
        Ok(value)
    }

    fn nested(&mut self, depth: usize, axes: usize) -> Result<Value, String> {
        if depth > 0 {
            let n = self.u32()?;
            // No more than the bytes could hold, whatever the count says.
            let parts: Result<Vec<Value>, String> =
                (0..n).map(|_| self.nested(depth - 1, axes)).collect();
            return Ok(Value::Array(parts?));
        }
        let numbers: Result<Vec<f64>, String> = (0..axes).map(|_| self.f64()).collect();
        let numbers = numbers?;
        Ok(json!(numbers[..numbers.len().min(3)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometries_come_back() {
        for geometry in [
            json!({"type": "Point", "coordinates": [1.5, -2.5]}),
            json!({"type": "Point", "coordinates": [1.0, 2.0, 3.0]}),
            json!({"type": "LineString", "coordinates": [[0.0, 1.0], [2.0, 3.0]]}),
            json!({"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], []]}),
            json!({"type": "MultiPoint", "coordinates": [[0.0, 1.0], [2.0, 3.0]]}),
            json!({"type": "MultiLineString", "coordinates": [[[0.0, 1.0], [2.0, 3.0]]]}),
            json!({"type": "MultiPolygon", "coordinates": [[[[179.0, 0.0], [180.0, 0.0], [180.0, 1.0], [179.0, 0.0]]], []]}),
            json!({"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1.0, 2.0]}]}),
        ] {
            let bytes = write(&geometry).expect("a geometry");
            assert_eq!(read(&bytes), Ok(geometry.clone()));
            for end in 0..bytes.len() {
                assert!(read(&bytes[..end]).is_err(), "{geometry} cut at {end}");
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_standard() {
        let bytes = write(&json!({"type": "Point", "coordinates": [1, 2]})).expect("a point");
        let expected = [
            &[1_u8, 1, 0, 0, 0][..],
            &1.0_f64.to_le_bytes(),
            &2.0_f64.to_le_bytes(),
        ]
        .concat();
        assert_eq!(bytes, expected);
        let big = [
            &[0_u8, 0, 0, 0, 1][..],
            &1.0_f64.to_be_bytes(),
            &2.0_f64.to_be_bytes(),
        ]
        .concat();
        assert_eq!(
            read(&big),
            Ok(json!({"type": "Point", "coordinates": [1.0, 2.0]}))
        );
        for broken in [
            json!({"type": "Circle"}),
            json!({"type": "Polygon", "coordinates": [[1, 2]]}),
            json!({"type": "Point", "coordinates": [1]}),
        ] {
            assert!(write(&broken).is_err(), "{broken}");
        }
    }
}
