//! What datasets were made from.
//!
//! A document names its sources by classifier ("level1", "ard"). Relations of
//! many documents together form a graph that has to be free of cycles, and in
//! which a pair of datasets has one classifier.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::document::{Node, ProblemKind};
use crate::error::{Error, Result};

/// The sources of one dataset, by classifier, in the order of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lineage {
    sources: IndexMap<String, Vec<Uuid>>,
}

/// One dataset made from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LineageRelation {
    /// What the source was used for.
    pub classifier: String,
    /// The dataset that was made.
    pub derived: Uuid,
    /// The dataset that it was made from.
    pub source: Uuid,
}

impl Lineage {
    /// Sources by classifier.
    pub fn new(sources: IndexMap<String, Vec<Uuid>>) -> Self {
        Lineage { sources }
    }

    /// The sources by classifier.
    pub fn sources(&self) -> &IndexMap<String, Vec<Uuid>> {
        &self.sources
    }

    /// Whether there are no sources.
    pub fn is_empty(&self) -> bool {
        self.sources.values().all(Vec::is_empty)
    }

    /// All sources, with their classifiers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Uuid)> {
        self.sources
            .iter()
            .flat_map(|(name, ids)| ids.iter().map(|id| (name.as_str(), *id)))
    }

    /// The relations of the dataset `derived` to its sources.
    pub fn relations(&self, derived: Uuid) -> Vec<LineageRelation> {
        self.iter()
            .map(|(classifier, source)| LineageRelation {
                classifier: classifier.to_owned(),
                derived,
                source,
            })
            .collect()
    }

    /// The sources under names of their own, as ODC's legacy index stores
    /// them: of several `ard` the first is `ard1`; a single one stays `ard`.
    ///
    /// # Source
    /// datacube-core, `datacube/index/eo3.py` (`prep_eo3`).
    pub fn numbered(&self) -> IndexMap<String, Uuid> {
        let mut numbered = IndexMap::new();
        for (name, ids) in &self.sources {
            match ids.as_slice() {
                [only] => {
                    numbered.insert(name.clone(), *only);
                }
                ids => numbered.extend(
                    ids.iter()
                        .enumerate()
                        .map(|(index, id)| (format!("{name}{}", index + 1), *id)),
                ),
            }
        }
        numbered
    }
}

/// Reads a UUID.
pub(crate) fn uuid(node: &Node<'_>) -> Option<Uuid> {
    let text = node.string()?;
    match Uuid::parse_str(text.trim()) {
        Ok(id) => Some(id),
        Err(error) => {
            let expected = "a UUID such as 944b3a38-0c42-5a6d-b4e8-4c0fdb67fbfc";
            node.report()
                .problem(node.problem(ProblemKind::BadValue, expected).cause(error));
            None
        }
    }
}

/// Reads `lineage`: `{classifier: [id, ...]}`, or the form
/// `{source_datasets: {classifier: {id: ...}}}` in which ODC's legacy index
/// gives documents back.
pub(crate) fn read(node: &Node<'_>) -> Option<Lineage> {
    if node.value.is_null() {
        return Some(Lineage::default());
    }
    node.map()?;
    let mut sources = IndexMap::new();
    let mut right = true;
    let stored = node
        .get("source_datasets")
        .filter(|node| node.value.is_object());
    for (name, ids) in stored.iter().flat_map(Node::entries) {
        match ids.get("id").and_then(|node| uuid(&node)) {
            Some(id) => {
                sources.insert(name.to_owned(), vec![id]);
            }
            None => {
                right = false;
                if ids.get("id").is_none() {
                    ids.require("id", "the id of the source dataset");
                    ids.map();
                }
            }
        }
    }
    let named = node.entries().filter(|_| stored.is_none());
    for (name, ids) in named.filter(|(_, ids)| !ids.value.is_null()) {
        let embedded = match ids.value {
            Value::Object(_) => true,
            Value::Array(items) => items.iter().any(Value::is_object),
            _ => false,
        };
        if embedded {
            right = false;
            ids.fault(
                ProblemKind::Unsupported,
                "a list of the ids of source datasets; whole datasets inside another are not read",
            );
            continue;
        }
        let Some(items) = ids.list() else {
            right = false;
            continue;
        };
        let found: Vec<Uuid> = items.iter().filter_map(uuid).collect();
        right &= found.len() == items.len();
        sources.insert(name.to_owned(), found);
    }
    right.then_some(Lineage { sources })
}

/// Which way along the relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineageDirection {
    /// To what a dataset was made from.
    Sources,
    /// To what was made from a dataset.
    Derived,
}

/// A dataset and those before or after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageTree {
    /// The dataset.
    pub dataset: Uuid,
    /// Which way the children are.
    pub direction: LineageDirection,
    /// The next datasets, by classifier; `None` where the tree was cut off.
    pub children: Option<IndexMap<String, Vec<LineageTree>>>,
}

/// Relations between datasets, free of cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineageGraph {
    classifiers: HashMap<(Uuid, Uuid), String>,
    sources: HashMap<Uuid, Vec<Uuid>>,
    derived: HashMap<Uuid, Vec<Uuid>>,
}

impl LineageGraph {
    /// Adds a relation; one that is there already changes nothing.
    ///
    /// # Errors
    /// [`Error::Lineage`] when the pair has another classifier, or when the
    /// source was itself made from the derived dataset.
    pub fn add(&mut self, relation: &LineageRelation) -> Result<()> {
        let LineageRelation {
            classifier,
            derived,
            source,
        } = relation;
        if let Some(known) = self.classifiers.get(&(*derived, *source)) {
            if known == classifier {
                return Ok(());
            }
            let message = format!(
                "{derived} is derived from {source} both as `{known}` and as `{classifier}`"
            );
            return Err(Error::Lineage { message });
        }
        if derived == source || self.reaches(*source, *derived) {
            let message =
                format!("{derived} cannot be derived from {source}, which is derived from it");
            return Err(Error::Lineage { message });
        }
        self.classifiers
            .insert((*derived, *source), classifier.clone());
        self.sources.entry(*derived).or_default().push(*source);
        self.derived.entry(*source).or_default().push(*derived);
        Ok(())
    }

    /// Number of relations.
    pub fn len(&self) -> usize {
        self.classifiers.len()
    }

    /// Whether there are no relations.
    pub fn is_empty(&self) -> bool {
        self.classifiers.is_empty()
    }

    /// Whether `start` was made from `goal`, directly or not.
    fn reaches(&self, start: Uuid, goal: Uuid) -> bool {
        let mut seen = HashSet::from([start]);
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            for source in self.sources.get(&id).into_iter().flatten() {
                if *source == goal {
                    return true;
                }
                if seen.insert(*source) {
                    open.push(*source);
                }
            }
        }
        false
    }

    /// The datasets before or after `root`, at most `max_depth` steps away.
    ///
    /// A dataset that is reached on several ways has its children once, the
    /// first time; later it stands there cut off.
    pub fn tree(
        &self,
        root: Uuid,
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> LineageTree {
        self.subtree(root, direction, max_depth, &mut HashSet::new())
    }

    fn subtree(
        &self,
        dataset: Uuid,
        direction: LineageDirection,
        depth: Option<usize>,
        seen: &mut HashSet<Uuid>,
    ) -> LineageTree {
        if depth == Some(0) || !seen.insert(dataset) {
            return LineageTree {
                dataset,
                direction,
                children: None,
            };
        }
        let next = match direction {
            LineageDirection::Sources => &self.sources,
            LineageDirection::Derived => &self.derived,
        };
        let mut children: IndexMap<String, Vec<LineageTree>> = IndexMap::new();
        for other in next.get(&dataset).into_iter().flatten() {
            let pair = match direction {
                LineageDirection::Sources => (dataset, *other),
                LineageDirection::Derived => (*other, dataset),
            };
            let subtree = self.subtree(*other, direction, depth.map(|depth| depth - 1), seen);
            children
                .entry(self.classifiers[&pair].clone())
                .or_default()
                .push(subtree);
        }
        LineageTree {
            dataset,
            direction,
            children: Some(children),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::Report;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn check(value: Value, expected: Result<&[(&str, &[u128])], &[&str]>) {
        let report = Report::default();
        let found = read(&Node::root(&value, &report));
        let problems: Vec<String> = report
            .problems()
            .iter()
            .map(|problem| problem.path.to_string())
            .collect();
        match expected {
            Ok(sources) => {
                let sources = sources
                    .iter()
                    .map(|(name, ids)| ((*name).to_owned(), ids.iter().map(|n| id(*n)).collect()));
                assert_eq!(found, Some(Lineage::new(sources.collect())), "{problems:?}");
            }
            Err(paths) => {
                assert_eq!(problems, paths);
                assert_eq!(found, None);
            }
        }
    }

    #[test]
    fn lineage_is_read() {
        check(json!({}), Ok(&[]));
        check(json!(null), Ok(&[]));
        check(
            json!({"ard": [id(1), id(2)], "none": []}),
            Ok(&[("ard", &[1, 2]), ("none", &[])]),
        );
        check(
            json!({"source_datasets": {"ard1": {"id": id(1)}}}),
            Ok(&[("ard1", &[1])]),
        );
        check(json!({"ard": [{"id": id(1)}]}), Err(&["ard"]));
        check(json!({"ard": {"id": id(1)}}), Err(&["ard"]));
        check(
            json!({"ard": ["x", id(1)], "b": "y"}),
            Err(&["ard[0]", "b"]),
        );
        check(
            json!({"source_datasets": {"a": {"id": "x"}, "b": {}}}),
            Err(&["source_datasets.a.id", "source_datasets.b.id"]),
        );
    }

    #[test]
    fn several_sources_are_numbered() {
        let lineage = Lineage::new(
            [
                ("ard".to_owned(), vec![id(1), id(2)]),
                ("qa".to_owned(), vec![id(3)]),
            ]
            .into(),
        );
        let names: Vec<String> = lineage.numbered().into_keys().collect();
        assert_eq!(names, ["ard1", "ard2", "qa"]);
        assert_eq!(lineage.relations(id(9)).len(), 3);
    }

    #[test]
    fn graphs_have_no_cycles_and_one_classifier_a_pair() {
        let mut graph = LineageGraph::default();
        let relation = |derived, source, classifier: &str| LineageRelation {
            classifier: classifier.to_owned(),
            derived: id(derived),
            source: id(source),
        };
        for (derived, source) in [(3, 2), (2, 1), (3, 4), (4, 1)] {
            graph
                .add(&relation(derived, source, "x"))
                .expect("no cycle");
        }
        graph.add(&relation(3, 2, "x")).expect("known");
        assert_eq!(graph.len(), 4);
        assert!(graph.add(&relation(3, 2, "y")).is_err());
        assert!(graph.add(&relation(1, 3, "x")).is_err());
        assert!(graph.add(&relation(1, 1, "x")).is_err());
        let tree = graph.tree(id(3), LineageDirection::Sources, None);
        let children = &tree.children.as_ref().expect("has sources")["x"];
        assert_eq!(children.len(), 2);
        let below = |index: usize| {
            children[index].children.as_ref().expect("has a source")["x"][0]
                .children
                .is_some()
        };
        assert!(below(0) && !below(1), "dataset 1 has its children once");
        let cut = graph.tree(id(1), LineageDirection::Derived, Some(1));
        assert!(
            cut.children.expect("one step")["x"]
                .iter()
                .all(|child| child.children.is_none())
        );
    }
}
