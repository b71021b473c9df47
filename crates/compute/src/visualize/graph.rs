//! Small graphs without cycles, drawn in layers from bottom to top.
//!
//! A box stands above everything that it uses. Within a layer boxes are sorted
//! by where their neighbours stand, a few times over (Sugiyama's method without
//! its refinements), which is enough for the hundred boxes that a picture holds
//! at most.

use std::fmt::Write;

use serde::Serialize;

use crate::repr::escape;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxKind {
    /// Pixels that are read.
    Source,
    /// Pixels that are in memory.
    Memory,
    /// Something that is computed.
    Function,
    /// A result.
    Output,
    /// What was left out.
    More,
}

/// A box of a graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GraphBox {
    /// The first line.
    pub title: String,
    /// Further lines.
    pub lines: Vec<String>,
    /// What it stands for.
    pub kind: BoxKind,
    /// Chunks that it stands for; more than one are drawn as a pile.
    pub count: usize,
}

/// Boxes and who uses whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Graph {
    /// The boxes.
    pub boxes: Vec<GraphBox>,
    /// Pairs of positions in `boxes`: what is used, and what uses it.
    pub edges: Vec<(usize, usize)>,
}

const CHAR: f64 = 6.3;
const LINE: f64 = 14.0;
const GAP: f64 = 18.0;
const RANK_GAP: f64 = 40.0;
const SWEEPS: usize = 8;

struct Place {
    rank: usize,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Graph {
    /// The picture.
    pub fn svg(&self) -> String {
        let mut places = self.sizes();
        let mut ranks = self.ranks(&mut places);
        self.sort(&mut ranks);
        self.spread(&ranks, &mut places);
        let (width, height) = stack(&ranks, &mut places);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" class=\"graph\" role=\"img\" font-family=\"sans-serif\" font-size=\"11\">\
             <style>.graph{{color-scheme:light dark;max-width:100%;height:auto;color:#222}}@media (prefers-color-scheme:dark){{.graph{{color:#ddd}}}}</style>"
        );
        for &(from, to) in &self.edges {
            let (a, b) = (&places[from], &places[to]);
            let (x1, y1) = (a.x + a.width / 2.0, a.y);
            let (x2, y2) = (b.x + b.width / 2.0, b.y + b.height);
            let middle = f64::midpoint(y1, y2);
            let _ = write!(
                svg,
                "<path d=\"M{x1:.1},{y1:.1} C{x1:.1},{middle:.1} {x2:.1},{middle:.1} {x2:.1},{y2:.1}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\".45\"/>\
                 <path d=\"M{:.1},{:.1} l-3,6 h6 z\" fill=\"currentColor\" fill-opacity=\".6\"/>",
                x2, y2
            );
        }
        for (graph_box, place) in self.boxes.iter().zip(&places) {
            draw(&mut svg, graph_box, place);
        }
        svg.push_str("</svg>");
        svg
    }

    #[allow(clippy::cast_precision_loss, reason = "pixels of a picture")]
    fn sizes(&self) -> Vec<Place> {
        let place = |graph_box: &GraphBox| {
            let lines = graph_box.lines.iter().chain([&graph_box.title]);
            let longest = lines.map(|line| line.chars().count()).max().unwrap_or(0);
            Place {
                rank: 0,
                x: 0.0,
                y: 0.0,
                width: (longest as f64 * CHAR + 18.0).max(44.0),
                height: (1 + graph_box.lines.len()) as f64 * LINE + 10.0,
            }
        };
        self.boxes.iter().map(place).collect()
    }

    /// Each box one rank above the highest that it uses.
    fn ranks(&self, places: &mut [Place]) -> Vec<Vec<usize>> {
        // There are no cycles, so that many rounds settle everything.
        for _ in 0..self.boxes.len() {
            let mut settled = true;
            for &(from, to) in &self.edges {
                if places[to].rank <= places[from].rank {
                    places[to].rank = places[from].rank + 1;
                    settled = false;
                }
            }
            if settled {
                break;
            }
        }
        let top = places.iter().map(|place| place.rank).max().unwrap_or(0);
        let mut ranks = vec![Vec::new(); top + 1];
        for (i, place) in places.iter().enumerate() {
            ranks[place.rank].push(i);
        }
        ranks
    }

    fn neighbours(&self, of: usize) -> impl Iterator<Item = usize> + '_ {
        self.edges.iter().filter_map(move |&(from, to)| {
            (from == of)
                .then_some(to)
                .or_else(|| (to == of).then_some(from))
        })
    }

    /// Sorts each rank by the mean position of its boxes' neighbours.
    #[allow(clippy::cast_precision_loss, reason = "positions below a hundred")]
    fn sort(&self, ranks: &mut [Vec<usize>]) {
        let mut at = vec![0.0; self.boxes.len()];
        let number = |ranks: &[Vec<usize>], at: &mut [f64]| {
            for rank in ranks {
                for (i, &graph_box) in rank.iter().enumerate() {
                    at[graph_box] = (i as f64 + 0.5) / rank.len() as f64;
                }
            }
        };
        number(ranks, &mut at);
        for sweep in 0..SWEEPS {
            let order: Vec<usize> = if sweep % 2 == 0 {
                (0..ranks.len()).collect()
            } else {
                (0..ranks.len()).rev().collect()
            };
            for rank in order {
                let mut keyed: Vec<(f64, usize)> = ranks[rank]
                    .iter()
                    .map(|&i| (mean(self.neighbours(i).map(|j| at[j])).unwrap_or(at[i]), i))
                    .collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                ranks[rank] = keyed.into_iter().map(|(_, i)| i).collect();
                number(ranks, &mut at);
            }
        }
    }

    /// Boxes of a rank side by side, each as near to its neighbours as those
    /// before it leave room.
    fn spread(&self, ranks: &[Vec<usize>], places: &mut [Place]) {
        for rank in ranks {
            let mut x = 0.0;
            for &i in rank {
                places[i].x = x;
                x += places[i].width + GAP;
            }
        }
        for sweep in 0..SWEEPS {
            let order: Vec<&Vec<usize>> = if sweep % 2 == 0 {
                ranks.iter().collect()
            } else {
                ranks.iter().rev().collect()
            };
            for rank in order {
                let centre = |i: usize, places: &[Place]| places[i].x + places[i].width / 2.0;
                let wanted: Vec<f64> = rank
                    .iter()
                    .map(|&i| {
                        let middle = mean(self.neighbours(i).map(|j| centre(j, places)));
                        middle.unwrap_or_else(|| centre(i, places)) - places[i].width / 2.0
                    })
                    .collect();
                let mut left = f64::NEG_INFINITY;
                for (&i, want) in rank.iter().zip(&wanted) {
                    places[i].x = want.max(left);
                    left = places[i].x + places[i].width + GAP;
                }
                // Pushed to the right by others, the rank moves back as a whole.
                let drift = rank
                    .iter()
                    .zip(&wanted)
                    .map(|(&i, want)| places[i].x - want);
                let drift = mean(drift).unwrap_or(0.0);
                for &i in rank {
                    places[i].x -= drift;
                }
            }
        }
    }
}

/// Rank 0 at the bottom; the size of the whole.
fn stack(ranks: &[Vec<usize>], places: &mut [Place]) -> (f64, f64) {
    let left = places
        .iter()
        .map(|place| place.x)
        .fold(f64::INFINITY, f64::min);
    let mut y = 12.0;
    for rank in ranks.iter().rev() {
        let height = rank.iter().map(|&i| places[i].height).fold(0.0, f64::max);
        for &i in rank {
            places[i].y = y + (height - places[i].height) / 2.0;
            places[i].x += 12.0 - left;
        }
        y += height + RANK_GAP;
    }
    let width = places.iter().map(|p| p.x + p.width).fold(0.0, f64::max);
    (width + 20.0, (y - RANK_GAP + 16.0).max(24.0))
}

fn draw(svg: &mut String, graph_box: &GraphBox, place: &Place) {
    let (fill, radius) = match graph_box.kind {
        BoxKind::Source => ("#4878a8", 2),
        BoxKind::Memory => ("#8a7a3c", 2),
        BoxKind::Function => ("#888888", 12),
        BoxKind::Output => ("#3a8f5d", 2),
        BoxKind::More => ("#b3622a", 12),
    };
    let pile = match graph_box.count {
        0 | 1 => 0,
        2..=9 => 1,
        _ => 2,
    };
    for depth in (0..=pile).rev() {
        let shift = f64::from(depth) * 4.0;
        let _ = write!(
            svg,
            // Opaque below the tint, so that what lies behind does not show.
            "<g transform=\"translate({:.1} {:.1})\"><rect width=\"{2:.1}\" height=\"{3:.1}\" rx=\"{radius}\" fill=\"Canvas\"/><rect width=\"{2:.1}\" height=\"{3:.1}\" rx=\"{radius}\" fill=\"{fill}\" fill-opacity=\".18\" stroke=\"{fill}\"/></g>",
            place.x + shift,
            place.y - shift,
            place.width,
            place.height
        );
    }
    let x = place.x + place.width / 2.0;
    for (i, line) in [&graph_box.title]
        .into_iter()
        .chain(&graph_box.lines)
        .enumerate()
    {
        #[allow(clippy::cast_precision_loss, reason = "pixels of a picture")]
        let y = place.y + 16.0 + i as f64 * LINE;
        let style = if i == 0 {
            " font-weight=\"bold\""
        } else {
            " fill-opacity=\".75\""
        };
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"currentColor\"{style}>{}</text>",
            escape(line)
        );
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(title: &str) -> GraphBox {
        GraphBox {
            title: title.to_owned(),
            lines: vec!["uint16 (4, 5)".to_owned()],
            kind: BoxKind::Function,
            count: 1,
        }
    }

    #[test]
    fn users_stand_above_and_boxes_do_not_overlap() {
        let graph = Graph {
            boxes: ["a", "b", "c", "d", "e", "f"].map(named).into(),
            edges: vec![(0, 3), (1, 3), (1, 4), (2, 4), (3, 5), (4, 5), (0, 5)],
        };
        let mut places = graph.sizes();
        let mut ranks = graph.ranks(&mut places);
        graph.sort(&mut ranks);
        graph.spread(&ranks, &mut places);
        stack(&ranks, &mut places);
        for &(from, to) in &graph.edges {
            assert!(places[to].y + places[to].height < places[from].y);
        }
        for rank in &ranks {
            for pair in rank.windows(2) {
                let (a, b) = (&places[pair[0]], &places[pair[1]]);
                assert!(a.x + a.width < b.x);
            }
        }
        assert_eq!(graph.svg().matches("<text").count(), 12);
    }

    #[test]
    fn nothing_is_a_picture_too() {
        assert!(Graph::default().svg().starts_with("<svg"));
    }
}
