//! Keys: what a node computes, as a hash of its content.
//!
//! A key covers the operation, its parameters and the keys of its inputs, so
//! the same request made twice, in whatever process, has one key. Sources are
//! known by their kind and bytes, arrays in memory by their pixels.

use std::fmt;
use std::sync::Arc;

use super::node::{Node, NodeRef, Op};
use super::{topological, wire};
use crate::error::{Error, Result};
use crate::regional::Regional;

/// A content hash: 32 bytes of BLAKE3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn of(hasher: &blake3::Hasher) -> Key {
        Key(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..16] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// The key of `root`, with those of everything below it.
pub(super) fn key_of(root: &NodeRef) -> Result<Key> {
    if let Some(key) = root.key.get() {
        return Ok(*key);
    }
    for node in topological([root]) {
        if node.key.get().is_none() {
            let key = compute(&node)?;
            node.key.get_or_init(|| key);
        }
    }
    root.key
        .get()
        .copied()
        .ok_or_else(|| Error::Bug("a node without a key".to_owned()))
}

fn compute(node: &Arc<Node>) -> Result<Key> {
    let mut hasher = blake3::Hasher::new_derive_key("datacube plan node, version 1");
    match node.op() {
        // Pixels are hashed as they are, not copied into a record first.
        Op::Memory(array) => {
            let digest = array.digest.get_or_init(|| {
                let mut pixels = blake3::Hasher::new();
                pixels.update(&array.data);
                Key::of(&pixels)
            });
            hasher.update(b"memory");
            hasher.update(digest.as_bytes());
            let schema = node.schema();
            let rest = (
                schema.dtype,
                &schema.dims[..],
                &schema.shape[..],
                &schema.chunks,
            );
            hasher.update(&wire::encode(&rest)?);
        }
        // Known by what the user calls it, or like no other.
        Op::Regional(Regional::Custom(custom)) => {
            hasher.update(b"custom");
            hasher.update(custom.identity().as_bytes());
        }
        _ => {
            hasher.update(&wire::encode(&wire::OpRecord::of(node)?)?);
        }
    }
    for input in node.inputs() {
        let key = input
            .key
            .get()
            .ok_or_else(|| Error::Bug("an input without a key".to_owned()))?;
        hasher.update(key.as_bytes());
    }
    Ok(Key::of(&hasher))
}
