//! Floor, default and ceiling of blocks, beside each other.
//!
//! Invariant: what comes out holds the floor below the ceiling and the default between them, so
//! that nothing behind it has to ask.

use hikyaku_directory::{BlockBounds, BlockNumbers};

use super::findings::{Findings, Span};
use super::kind::Minutes;
use super::section::Given;
use super::written::{Access, BlockCeiling, BlockDefault, BlockFloor};

/// One of the numbers, as the three sections have it.
struct Number {
    key: &'static str,
    unit: Unit,
    floor: Place,
    usual: Place,
    ceiling: Place,
}

/// A value, and where it stands.
struct Place {
    value: u64,
    span: Span,
}

/// What a number counts.
#[derive(Clone, Copy)]
enum Unit {
    Times,
    Minutes,
}

/// What stands in the file, or the defaults of the program if that makes no sense.
pub(super) fn blocking(access: Access, findings: &mut Findings<'_>) -> BlockBounds {
    let Access { default, floor, ceiling } = access;
    let BlockDefault { failures, window, block, growth, longest } = default;
    let (first, last) = (block.value, longest.value);
    if first > last {
        let span = block.span.clone().or_else(|| longest.span.clone());
        let what = format!("the first block, {first}, is longer than the longest, {last}");
        let remedy = "write a shorter `block`, or a longer `longest` beside it";
        findings.mistake(&span, "access.default.block", what, remedy);
    }
    let default = places(failures, window, block, growth, longest);
    let BlockFloor { failures, window, block, growth, longest } = floor;
    let floor = places(failures, window, block, growth, longest);
    let BlockCeiling { failures, window, block, growth, longest } = ceiling;
    let ceiling = places(failures, window, block, growth, longest);
    let numbers = |places: &[Place; 5]| {
        let [failures, window, minutes, growth, longest] = places.each_ref().map(|place| place.value);
        BlockNumbers { failures, window, minutes, growth, longest }
    };
    let bounds = BlockBounds { usual: numbers(&default), floor: numbers(&floor), ceiling: numbers(&ceiling) };
    let named = [
        ("failures", Unit::Times),
        ("window", Unit::Minutes),
        ("block", Unit::Minutes),
        ("growth", Unit::Times),
        ("longest", Unit::Minutes),
    ];
    let places = floor.into_iter().zip(default).zip(ceiling);
    for ((key, unit), ((floor, usual), ceiling)) in named.into_iter().zip(places) {
        Number { key, unit, floor, usual, ceiling }.check(findings);
    }
    bounds
}

fn places(
    failures: Given<u32>,
    window: Given<Minutes>,
    block: Given<Minutes>,
    growth: Given<u32>,
    longest: Given<Minutes>,
) -> [Place; 5] {
    let number = |given: Given<u32>| Place { value: given.value.into(), span: given.span };
    let minutes = |given: Given<Minutes>| Place { value: given.value.0, span: given.span };
    [number(failures), minutes(window), minutes(block), number(growth), minutes(longest)]
}

impl Number {
    /// The mistake stands where the operator wrote something, the narrowest first.
    fn check(&self, findings: &mut Findings<'_>) {
        let Self { key, unit, floor, usual, ceiling } = self;
        let (least, most, value) = (unit.told(floor.value), unit.told(ceiling.value), unit.told(usual.value));
        if floor.value > ceiling.value {
            let (section, span) = match &floor.span {
                Some(_) => ("floor", &floor.span),
                None => ("ceiling", &ceiling.span),
            };
            let what = format!("the floor, {least}, is above the ceiling, {most}");
            let remedy = format!(
                "write a lower `{key}` below `[access.floor]`, or a higher one below `[access.ceiling]`"
            );
            findings.mistake(span, &format!("access.{section}.{key}"), what, remedy);
            return;
        }
        let (bound, section, is_wrong) = match usual.value < floor.value {
            true => (floor, "floor", true),
            false => (ceiling, "ceiling", usual.value > ceiling.value),
        };
        if is_wrong {
            let (at, span) = match &usual.span {
                Some(_) => ("default", &usual.span),
                None => (section, &bound.span),
            };
            let what =
                format!("the default, {value}, is not from {least} to {most}, which tenants may choose");
            let remedy = format!(
                "write `{key}` from {least} to {most} below `[access.default]`, or another `{key}` below `[access.{section}]`"
            );
            findings.mistake(span, &format!("access.{at}.{key}"), what, remedy);
        }
    }
}

impl Unit {
    fn told(self, value: u64) -> String {
        match self {
            Self::Times => value.to_string(),
            Self::Minutes => Minutes(value).to_string(),
        }
    }
}
