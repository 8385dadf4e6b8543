//! The JSON header of a file, read entry by entry.
//!
//! The `safetensors` crate first makes a tree of all values, of about 25 bytes for each byte of a header of small tensors.

use std::fmt;

use safetensors::SafeTensorError;
use safetensors::tensor::{Metadata as Listed, TensorInfo};
use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::Metadata;
use super::format::METADATA;

/// What a header says, as it stands there.
pub(super) struct Header {
    tensors: Vec<(String, TensorInfo)>,
    metadata: Option<Option<Metadata>>,
}

impl Header {
    /// # Errors
    /// If it is no JSON, or not that of a header: with the place in the text.
    pub(super) fn read(text: &[u8]) -> serde_json::Result<Header> {
        serde_json::from_slice(text)
    }

    /// The names of the tensors in their order, the tensors with their types, shapes and places checked against each other, and the metadata.
    ///
    /// # Errors
    /// If a name is there twice, or places overlap, leave gaps, or have not the length of their tensors.
    pub(super) fn checked(self) -> Result<(Vec<String>, Listed, Metadata), String> {
        let Header { mut tensors, metadata } = self;
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        let mut names: Vec<_> = tensors.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
            return Err(format!("`{name}` is listed twice"));
        }
        let listed = Listed::new(None, tensors).map_err(|e: SafeTensorError| e.to_string())?;
        Ok((names, listed, metadata.flatten().unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Header, A::Error> {
        let mut header = Header { tensors: Vec::new(), metadata: None };
        while let Some(name) = entries.next_key::<String>()? {
            if name != METADATA {
                header.tensors.push((name, entries.next_value()?));
            } else if header.metadata.replace(entries.next_value()?).is_some() {
                return Err(Error::duplicate_field(METADATA));
            }
        }
        Ok(header)
    }
}
