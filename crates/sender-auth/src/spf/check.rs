//! `check_host()`: reads records and follows them.
//!
//! Standards: RFC 7208 section 4 (the function), section 5 (mechanisms), section 6
//! (modifiers).

use std::net::IpAddr;
use std::pin::Pin;

use hikyaku_types::Network;

use super::expand::{Facts, expand, expand_name, needs_validated_name};
use super::record::{Directive, MacroString, Mechanism, Qualifier, Record, Widths, is_record};
use super::{MAX_EXCHANGERS, MAX_TERMS, MAX_VOID, Outcome, Step};
use crate::Name;
use crate::dns::{Data, Dns, DnsError, Kind, Records, has_address, names_of, texts};
use crate::side_by_side::all;

/// What the records of one domain say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The result.
    pub outcome: Outcome,
    /// Why, where the result alone does not tell.
    pub reason: Option<String>,
    /// Of a `fail`: what the domain wants the sender to be told.
    pub explanation: Option<String>,
    /// How it came to this.
    pub steps: Vec<Step>,
}

/// `check_host()` of RFC 7208 section 4.1, for a domain that is fully qualified.
pub async fn check_host(dns: &impl Dns, facts: &Facts<'_>, domain: &Name) -> Found {
    let mut check =
        Check { dns, facts, terms: 0, void: 0, validated: None, explanation: None, steps: Vec::new() };
    let (outcome, reason) = match check.record_of(domain.clone(), true).await {
        Ok(outcome) => (outcome, None),
        Err(Problem { outcome, reason }) => (outcome, Some(reason)),
    };
    let explanation = if outcome == Outcome::Fail { check.explanation } else { None };
    Found { outcome, reason, explanation, steps: check.steps }
}

/// Ends the whole check, from however deep inside.
struct Problem {
    outcome: Outcome,
    reason: String,
}

impl Problem {
    fn permanent(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::PermError, reason: reason.into() }
    }

    /// A share that is spent is a limit like those of section 4.6.4: no other day makes the
    /// record cheaper.
    fn no_answer(name: &Name, kind: Kind, error: DnsError) -> Self {
        let outcome = if error == DnsError::Spent { Outcome::PermError } else { Outcome::TempError };
        Self { outcome, reason: format!("{} of {name}: {error}", kind.as_str()) }
    }
}

type Checked<T> = Result<T, Problem>;

struct Check<'c, D> {
    dns: &'c D,
    facts: &'c Facts<'c>,
    terms: u32,
    void: u32,
    /// The client's validated name, once somebody asked for it.
    validated: Option<String>,
    explanation: Option<String>,
    steps: Vec<Step>,
}

impl<D: Dns> Check<'_, D> {
    /// Reads the record of `domain` and follows it. `may_explain` is false within an include
    /// (section 6.2). Boxed, as records lead to records.
    fn record_of(
        &mut self,
        domain: Name,
        may_explain: bool,
    ) -> Pin<Box<dyn Future<Output = Checked<Outcome>> + Send + '_>> {
        Box::pin(async move {
            let records = match self.dns.look_up(&domain, Kind::Txt).await {
                Ok(records) => records,
                Err(error) if error.is_void() => return Ok(self.nothing_published(&domain)),
                Err(error) => return Err(Problem::no_answer(&domain, Kind::Txt, error)),
            };
            let mut candidates = texts(&records).filter(|text| is_record(text));
            let Some(text) = candidates.next() else { return Ok(self.nothing_published(&domain)) };
            self.step(&domain, String::from_utf8_lossy(text).into_owned(), "the record");
            if candidates.next().is_some() {
                return Err(Problem::permanent(format!("{domain} has more than one record")));
            }
            let record = Record::parse(text)
                .map_err(|error| Problem::permanent(format!("the record of {domain}: {error}")))?;
            self.follow(&record, &domain, may_explain).await
        })
    }

    async fn follow(&mut self, record: &Record<'_>, domain: &Name, may_explain: bool) -> Checked<Outcome> {
        for directive in &record.directives {
            let matches = self.matches(directive, domain).await?;
            self.step(domain, directive.text.to_owned(), if matches { "matches" } else { "does not match" });
            if matches {
                let outcome = outcome_of(directive.qualifier);
                if outcome == Outcome::Fail && may_explain {
                    self.explanation = self.explain(record, domain).await;
                }
                return Ok(outcome);
            }
        }
        let Some(redirect) = record.redirect else { return Ok(Outcome::Neutral) };
        self.step(domain, format!("redirect={}", redirect.as_str()), "decides");
        self.count_term()?;
        let target = self.target(Some(redirect), domain).await?;
        let target = target.ok_or_else(|| Problem::permanent("redirect leads to no domain"))?;
        match self.record_of(target.clone(), may_explain).await? {
            Outcome::None => {
                Err(Problem::permanent(format!("{target}, the target of redirect, has no record")))
            }
            outcome => Ok(outcome),
        }
    }

    async fn matches(&mut self, directive: &Directive<'_>, domain: &Name) -> Checked<bool> {
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip(network) => Ok(network.contains(self.facts.ip)),
            Mechanism::Include(target) => self.include(*target, domain).await,
            Mechanism::A(target, widths) => self.a(*target, *widths, domain).await,
            Mechanism::Mx(target, widths) => self.mx(*target, *widths, domain).await,
            Mechanism::Ptr(target) => self.ptr(*target, domain).await,
            Mechanism::Exists(target) => self.exists(*target, domain).await,
        }
    }

    /// Section 5.2.
    async fn include(&mut self, target: MacroString<'_>, domain: &Name) -> Checked<bool> {
        self.count_term()?;
        let target = self.target(Some(target), domain).await?;
        let target = target.ok_or_else(|| Problem::permanent("include leads to no domain"))?;
        match self.record_of(target.clone(), false).await? {
            Outcome::Pass => Ok(true),
            Outcome::None => Err(Problem::permanent(format!("{target}, which is included, has no record"))),
            _ => Ok(false),
        }
    }

    /// Section 5.3.
    async fn a(&mut self, target: Option<MacroString<'_>>, widths: Widths, domain: &Name) -> Checked<bool> {
        self.count_term()?;
        let Some(target) = self.target(target, domain).await? else { return Ok(false) };
        let records = self.look_up(&target, Kind::of_family(self.facts.ip)).await?;
        Ok(has_client(records.as_ref(), self.facts.ip, widths))
    }

    /// Section 5.4.
    async fn mx(&mut self, target: Option<MacroString<'_>>, widths: Widths, domain: &Name) -> Checked<bool> {
        self.count_term()?;
        let Some(target) = self.target(target, domain).await? else { return Ok(false) };
        let Some(records) = self.look_up(&target, Kind::Mx).await? else { return Ok(false) };
        let exchangers: Vec<&Name> = records
            .iter()
            .filter_map(|record| match record {
                Data::Mx { exchange, .. } => exchange.as_ref(),
                _ => None,
            })
            .collect();
        if exchangers.len() > MAX_EXCHANGERS {
            return Err(Problem::permanent(format!("{target} has more than {MAX_EXCHANGERS} exchangers")));
        }
        let (dns, ip) = (self.dns, self.facts.ip);
        let kind = Kind::of_family(ip);
        let answers = all(exchangers.iter().map(|name| dns.look_up(name, kind))).await;
        // In their order: one that matches makes the failure of a later one harmless.
        for (name, answer) in exchangers.iter().zip(answers) {
            match answer {
                Ok(records) if has_client(Some(&records), ip, widths) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.is_void() => {}
                Err(error) => return Err(Problem::no_answer(name, kind, error)),
            }
        }
        Ok(false)
    }

    /// Section 5.5. Failures of DNS are "does not match" here.
    async fn ptr(&mut self, target: Option<MacroString<'_>>, domain: &Name) -> Checked<bool> {
        self.count_term()?;
        let Some(target) = self.target(target, domain).await? else { return Ok(false) };
        let names = match names_of(self.dns, self.facts.ip).await {
            Ok(names) => names,
            Err(error) => {
                if error.is_void() {
                    self.count_void()?;
                }
                return Ok(false);
            }
        };
        let names: Vec<Name> = names.into_iter().filter(|name| name.is_within(&target)).collect();
        Ok(!self.validated_of(names).await.is_empty())
    }

    /// Section 5.7: IPv4, whatever the client's family.
    async fn exists(&mut self, target: MacroString<'_>, domain: &Name) -> Checked<bool> {
        self.count_term()?;
        let Some(target) = self.target(Some(target), domain).await? else { return Ok(false) };
        Ok(self.look_up(&target, Kind::A).await?.is_some())
    }

    /// The names among these that have the client's address.
    async fn validated_of(&self, names: Vec<Name>) -> Vec<Name> {
        let (dns, ip) = (self.dns, self.facts.ip);
        let answers = all(names.iter().map(|name| has_address(dns, name, ip))).await;
        let valid = names.into_iter().zip(answers).filter(|(_, answer)| *answer == Ok(true));
        valid.map(|(name, _)| name).collect()
    }

    /// The name that a mechanism is about; `None` if the expansion is no name.
    async fn target(&mut self, target: Option<MacroString<'_>>, domain: &Name) -> Checked<Option<Name>> {
        let Some(target) = target else { return Ok(Some(domain.clone())) };
        let validated = if needs_validated_name(target) {
            self.count_term()?;
            self.validated_name(domain).await
        } else {
            String::new()
        };
        Ok(expand_name(target, self.facts, domain, &validated))
    }

    /// `%{p}`, section 7.3: the domain itself, a name below it, or any name.
    async fn validated_name(&mut self, domain: &Name) -> String {
        if let Some(name) = &self.validated {
            return name.clone();
        }
        let names = names_of(self.dns, self.facts.ip).await.unwrap_or_default();
        let names = self.validated_of(names).await;
        let best = names
            .iter()
            .find(|name| *name == domain)
            .or_else(|| names.iter().find(|name| name.is_within(domain)))
            .or(names.first());
        let name = best.map_or_else(|| "unknown".to_owned(), |name| name.as_str().to_owned());
        self.validated = Some(name.clone());
        name
    }

    /// Section 6.2. Whatever goes wrong, there is no explanation then.
    async fn explain(&mut self, record: &Record<'_>, domain: &Name) -> Option<String> {
        let target = self.target(Some(record.explanation?), domain).await.ok()??;
        let records = self.dns.look_up(&target, Kind::Txt).await.ok()?;
        let mut found = texts(&records);
        let text = found.next().filter(|text| text.iter().all(|octet| (b' '..=b'~').contains(octet)))?;
        if found.next().is_some() {
            return None;
        }
        let text = MacroString::parse(std::str::from_utf8(text).ok()?)?;
        let validated =
            if needs_validated_name(text) { self.validated_name(domain).await } else { String::new() };
        let explanation = expand(text, self.facts, domain, &validated);
        // Local parts of an envelope may hold anything; this is shown to people.
        explanation.chars().all(|c| !c.is_control()).then_some(explanation)
    }

    /// `None` if there is nothing, which counts.
    async fn look_up(&mut self, name: &Name, kind: Kind) -> Checked<Option<Records>> {
        match self.dns.look_up(name, kind).await {
            Ok(records) => Ok(Some(records)),
            Err(error) if error.is_void() => self.count_void().map(|()| None),
            Err(error) => Err(Problem::no_answer(name, kind, error)),
        }
    }

    fn count_term(&mut self) -> Checked<()> {
        self.terms += 1;
        let too_many = || Problem::permanent(format!("more than {MAX_TERMS} terms ask DNS"));
        (self.terms <= MAX_TERMS).then_some(()).ok_or_else(too_many)
    }

    fn count_void(&mut self) -> Checked<()> {
        self.void += 1;
        let too_many = || Problem::permanent(format!("more than {MAX_VOID} look-ups found nothing"));
        (self.void <= MAX_VOID).then_some(()).ok_or_else(too_many)
    }

    fn nothing_published(&mut self, domain: &Name) -> Outcome {
        self.step(domain, String::new(), "publishes no record");
        Outcome::None
    }

    fn step(&mut self, domain: &Name, text: String, note: &str) {
        self.steps.push(Step { domain: domain.clone(), text, note: note.to_owned() });
    }
}

fn outcome_of(qualifier: Qualifier) -> Outcome {
    match qualifier {
        Qualifier::Pass => Outcome::Pass,
        Qualifier::Fail => Outcome::Fail,
        Qualifier::SoftFail => Outcome::SoftFail,
        Qualifier::Neutral => Outcome::Neutral,
    }
}

fn has_client(records: Option<&Records>, ip: IpAddr, widths: Widths) -> bool {
    let width = if ip.is_ipv4() { widths.v4 } else { widths.v6 };
    let has = |record: &Data| matches!(record, Data::Address(address) if Network::containing(*address, width).contains(ip));
    records.is_some_and(|records| records.iter().any(has))
}
