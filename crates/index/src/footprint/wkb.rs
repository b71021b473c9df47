//! Footprints as bytes: OGC well-known binary, little-endian.
//!
//! A collection of points, lines and polygons, so that other programs can read
//! the column too. What PostGIS adds, the number of the CRS, is read over.
//!
//! # Source
//! OGC 06-103r4, section 8; PostGIS manual, "OpenGIS WKB and WKT", extended forms.

use geo_types::{Coord, Geometry, LineString, Point, Polygon};

use super::Footprint;

const POINT: u32 = 1;
const LINE: u32 = 2;
const POLYGON: u32 = 3;
const COLLECTION: u32 = 7;

/// PostGIS: the number of the CRS follows.
const HAS_SRID: u32 = 0x2000_0000;

impl Footprint {
    /// The footprint as WKB.
    pub(crate) fn to_wkb(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self.parts.as_slice() {
            [part] => write_part(part, &mut out),
            parts => {
                header(COLLECTION, &mut out);
                count(parts.len(), &mut out);
                parts.iter().for_each(|part| write_part(part, &mut out));
            }
        }
        out
    }

    /// Reads what [`Footprint::to_wkb`] wrote; `None` for anything else.
    pub(crate) fn from_wkb(bytes: &[u8]) -> Option<Footprint> {
        let mut reader = Reader { rest: bytes };
        let parts = match reader.header()? {
            COLLECTION => (0..reader.count()?)
                .map(|_| {
                    let kind = reader.header()?;
                    reader.part(kind)
                })
                .collect::<Option<Vec<_>>>()?,
            kind => vec![reader.part(kind)?],
        };
        (reader.rest.is_empty() && !parts.is_empty()).then_some(Footprint { parts })
    }
}

fn header(kind: u32, out: &mut Vec<u8>) {
    out.push(1);
    out.extend(kind.to_le_bytes());
}

fn count(n: usize, out: &mut Vec<u8>) {
    let n = u32::try_from(n).expect("a document of 4e9 vertices does not fit in memory");
    out.extend(n.to_le_bytes());
}

fn coord(c: &Coord<f64>, out: &mut Vec<u8>) {
    out.extend(c.x.to_le_bytes());
    out.extend(c.y.to_le_bytes());
}

fn ring(line: &LineString<f64>, out: &mut Vec<u8>) {
    count(line.0.len(), out);
    line.0.iter().for_each(|c| coord(c, out));
}

fn write_part(part: &Geometry<f64>, out: &mut Vec<u8>) {
    match part {
        Geometry::Point(point) => {
            header(POINT, out);
            coord(&point.0, out);
        }
        Geometry::LineString(line) => {
            header(LINE, out);
            ring(line, out);
        }
        Geometry::Polygon(polygon) => {
            header(POLYGON, out);
            count(1 + polygon.interiors().len(), out);
            ring(polygon.exterior(), out);
            polygon.interiors().iter().for_each(|hole| ring(hole, out));
        }
        other => unreachable!("a footprint has no part like {other:?}"),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn header(&mut self) -> Option<u32> {
        let [order] = self.take::<1>()?;
        if order != 1 {
            return None;
        }
        let kind = self.take().map(u32::from_le_bytes)?;
        if kind & HAS_SRID != 0 {
            self.take::<4>()?;
        }
        Some(kind & !HAS_SRID)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.take()?)).ok()
    }

    fn coord(&mut self) -> Option<Coord<f64>> {
        Some(Coord {
            x: f64::from_le_bytes(self.take()?),
            y: f64::from_le_bytes(self.take()?),
        })
    }

    fn ring(&mut self) -> Option<LineString<f64>> {
        let n = self.count()?;
        // A count that the bytes cannot hold is no reason to reserve memory.
        if n > self.rest.len() / 16 {
            return None;
        }
        (0..n)
            .map(|_| self.coord())
            .collect::<Option<Vec<_>>>()
            .map(LineString)
    }

    fn part(&mut self, kind: u32) -> Option<Geometry<f64>> {
        match kind {
            POINT => Some(Point(self.coord()?).into()),
            LINE => Some(self.ring()?.into()),
            POLYGON => {
                let n_rings = self.count()?;
                let exterior = self.ring()?;
                let holes = (1..n_rings)
                    .map(|_| self.ring())
                    .collect::<Option<Vec<_>>>()?;
                Some(Polygon::new(exterior, holes).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Projector;
    use super::*;

    #[test]
    fn footprints_come_back_from_their_bytes() {
        let hole = LineString::from(vec![(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 1.0)]);
        let outer = LineString::from(vec![(0.0, 0.0), (9.0, 0.1), (8.5, 9.0), (0.0, 0.0)]);
        let polygon = Geometry::from(Polygon::new(outer.clone(), vec![hole]));
        for shape in [
            Geometry::from(Point::new(1.5, -2.5)),
            Geometry::from(outer),
            polygon.clone(),
            Geometry::GeometryCollection(vec![polygon, Point::new(175.0, 0.0).into()].into()),
        ] {
            let footprint = Footprint::build(&shape, &Projector::LonLat).expect("points");
            let bytes = footprint.to_wkb();
            assert_eq!(Footprint::from_wkb(&bytes), Some(footprint));
            for cut in 0..bytes.len() {
                assert_eq!(
                    Footprint::from_wkb(&bytes[..cut]),
                    None,
                    "{cut} of {}",
                    bytes.len()
                );
            }
        }
        assert_eq!(
            Footprint::from_wkb(&[1, 3, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255]),
            None
        );
    }
}
