//! Lineage as a set of relations: walked, added to, kept free of cycles.
//!
//! The index in memory keeps all of its relations in one; the others load what
//! they need of theirs into one to decide about a change.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use datacube_model::{LineageDirection, LineageRelation};
use uuid::Uuid;

use crate::catalog::LineageReport;
use crate::error::{Error, Result};

/// Relations by both of their ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relations {
    /// Classifiers by (derived, source).
    classifiers: BTreeMap<(Uuid, Uuid), String>,
    /// (source, derived).
    by_source: BTreeSet<(Uuid, Uuid)>,
}

/// What was changed by [`Relations::merge`].
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) added: Vec<LineageRelation>,
    pub(crate) updated: Vec<LineageRelation>,
    pub(crate) n_unchanged: u64,
}

/// What was changed by [`Relations::restate`].
#[derive(Debug)]
pub(crate) struct Restated {
    pub(crate) gone: Vec<LineageRelation>,
    pub(crate) added: Vec<LineageRelation>,
}

impl Merged {
    pub(crate) fn report(&self) -> LineageReport {
        LineageReport {
            added: self.added.len() as u64,
            updated: self.updated.len() as u64,
            unchanged: self.n_unchanged,
        }
    }
}

/// The order in which relations are listed.
pub(crate) fn sort(relations: &mut [LineageRelation]) {
    relations.sort_unstable_by(|a, b| {
        (a.derived, &a.classifier, a.source).cmp(&(b.derived, &b.classifier, b.source))
    });
}

impl Relations {
    /// Puts in a relation that is known to be right.
    pub(crate) fn insert(&mut self, relation: LineageRelation) {
        let LineageRelation {
            classifier,
            derived,
            source,
        } = relation;
        self.classifiers.insert((derived, source), classifier);
        self.by_source.insert((source, derived));
    }

    /// Takes out a relation, whatever its classifier.
    pub(crate) fn remove(&mut self, derived: Uuid, source: Uuid) -> Option<LineageRelation> {
        let classifier = self.classifiers.remove(&(derived, source))?;
        self.by_source.remove(&(source, derived));
        Some(LineageRelation {
            classifier,
            derived,
            source,
        })
    }

    /// Takes out what says from what a dataset was made.
    pub(crate) fn remove_sources_of(&mut self, derived: Uuid) {
        let sources: Vec<Uuid> = self.next(derived, LineageDirection::Sources).collect();
        for source in sources {
            self.remove(derived, source);
        }
    }

    /// Puts what a document says now in the place of what it said before; what
    /// others said stays. On an error nothing changes.
    ///
    /// # Errors
    /// As [`Relations::merge`].
    pub(crate) fn restate(
        &mut self,
        before: &[LineageRelation],
        after: &[LineageRelation],
    ) -> Result<Restated> {
        let gone: Vec<LineageRelation> = before
            .iter()
            .filter(|relation| !after.contains(relation) && self.contains(relation))
            .cloned()
            .collect();
        self.undo(&gone);
        match self.merge(after, false) {
            Ok(merged) => Ok(Restated {
                gone,
                added: merged.added,
            }),
            Err(error) => {
                for relation in gone {
                    self.insert(relation);
                }
                Err(error)
            }
        }
    }

    fn contains(&self, relation: &LineageRelation) -> bool {
        let known = self.classifiers.get(&(relation.derived, relation.source));
        known == Some(&relation.classifier)
    }

    /// Adds relations: all of them or, on an error, none.
    ///
    /// # Errors
    /// [`Error::Lineage`] for a cycle, and for another classifier where that
    /// is not allowed.
    pub(crate) fn merge(
        &mut self,
        relations: &[LineageRelation],
        allow_updates: bool,
    ) -> Result<Merged> {
        let mut merged = Merged::default();
        let mut before: Vec<LineageRelation> = Vec::new();
        for relation in relations {
            match self.merge_one(relation, allow_updates) {
                Ok(Change::None) => merged.n_unchanged += 1,
                Ok(Change::Added) => merged.added.push(relation.clone()),
                Ok(Change::Updated(classifier)) => {
                    before.push(LineageRelation {
                        classifier,
                        ..relation.clone()
                    });
                    merged.updated.push(relation.clone());
                }
                Err(error) => {
                    for earlier in before.into_iter().rev() {
                        self.insert(earlier);
                    }
                    self.undo(&merged.added);
                    return Err(error);
                }
            }
        }
        Ok(merged)
    }

    /// Takes out relations that were added.
    pub(crate) fn undo(&mut self, added: &[LineageRelation]) {
        for relation in added {
            self.remove(relation.derived, relation.source);
        }
    }

    fn merge_one(&mut self, relation: &LineageRelation, allow_updates: bool) -> Result<Change> {
        let LineageRelation {
            classifier,
            derived,
            source,
        } = relation;
        match self.classifiers.get_mut(&(*derived, *source)) {
            Some(known) if known == classifier => return Ok(Change::None),
            Some(known) if allow_updates => {
                return Ok(Change::Updated(std::mem::replace(
                    known,
                    classifier.clone(),
                )));
            }
            Some(known) => {
                return Err(Error::Lineage {
                    reason: format!(
                        "dataset {derived} is known to be made from {source} as `{known}`, not \
                         as `{classifier}`; allow updates to replace what is known"
                    ),
                });
            }
            None => {}
        }
        if derived == source || self.reaches(*source, *derived) {
            return Err(Error::Lineage {
                reason: format!(
                    "dataset {derived} cannot be made from {source}, which was itself made from it"
                ),
            });
        }
        self.insert(relation.clone());
        Ok(Change::Added)
    }

    /// Whether `start` was made from `goal`, directly or not.
    fn reaches(&self, start: Uuid, goal: Uuid) -> bool {
        if self.next(goal, LineageDirection::Derived).next().is_none() {
            return false;
        }
        let mut seen = HashSet::from([start]);
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            for source in self.next(id, LineageDirection::Sources) {
                if source == goal {
                    return true;
                }
                if seen.insert(source) {
                    open.push(source);
                }
            }
        }
        false
    }

    /// The datasets one step away.
    fn next(&self, id: Uuid, direction: LineageDirection) -> Box<dyn Iterator<Item = Uuid> + '_> {
        let all = (id, Uuid::nil())..=(id, Uuid::max());
        match direction {
            LineageDirection::Sources => {
                Box::new(self.classifiers.range(all).map(|((_, source), _)| *source))
            }
            LineageDirection::Derived => {
                Box::new(self.by_source.range(all).map(|(_, derived)| *derived))
            }
        }
    }

    /// The relations that lead away from datasets, level by level; in order.
    pub(crate) fn walk(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Vec<LineageRelation> {
        let mut seen: HashSet<Uuid> = ids.iter().copied().collect();
        let mut level: Vec<Uuid> = seen.iter().copied().collect();
        let mut found = Vec::new();
        let mut depth = 0;
        while !level.is_empty() && max_depth.is_none_or(|max| depth < max) {
            let mut next_level = Vec::new();
            for id in level {
                for other in self.next(id, direction) {
                    let (derived, source) = match direction {
                        LineageDirection::Sources => (id, other),
                        LineageDirection::Derived => (other, id),
                    };
                    found.push(LineageRelation {
                        classifier: self.classifiers[&(derived, source)].clone(),
                        derived,
                        source,
                    });
                    if seen.insert(other) {
                        next_level.push(other);
                    }
                }
            }
            level = next_level;
            depth += 1;
        }
        sort(&mut found);
        found
    }

    /// Every relation, in order.
    pub(crate) fn all(&self) -> Vec<LineageRelation> {
        let mut all: Vec<LineageRelation> = self
            .classifiers
            .iter()
            .map(|((derived, source), classifier)| LineageRelation {
                classifier: classifier.clone(),
                derived: *derived,
                source: *source,
            })
            .collect();
        sort(&mut all);
        all
    }
}

enum Change {
    None,
    Added,
    /// With the classifier that was there.
    Updated(String),
}
