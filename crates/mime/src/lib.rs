//! x
pub mod charset;
pub mod encoded_word;
pub mod fields;
pub mod header;
mod span;
pub mod structure;
pub mod transfer;
pub use header::{Field, Header};
pub use span::Span;
pub use structure::{Kind, Part, PartId, Structure};
