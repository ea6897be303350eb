//! Dialogues with a session: examples of the RFCs, rules, attacks, random splits.

mod attacks;
mod dialogue;
mod fuzz;
mod rfc_examples;
mod rules;
mod splits;
