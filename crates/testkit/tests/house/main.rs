//! House rules: what must hold for the whole repository, checked where every test runs.
//!
//! Each rule is a function from plain values to sentences about what breaks it, so that it
//! is tried on wrong values too. [`workspace`] reads the values of this repository.

mod layers;
mod licences;
mod manifests;
mod modules;
mod spdx;
mod standards;
mod workspace;

/// Fails with all sentences of a rule, if it has any.
fn must_be_empty(broken: &[String]) {
    assert!(broken.is_empty(), "\n\n{}\n", broken.join("\n"));
}
