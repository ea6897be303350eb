//! One attempt, from its facts to its answer.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hikyaku_access::event::What;
use hikyaku_access::facts::{AccountFacts, Attempt, Credential, GroupId, Service, Subject};
use hikyaku_access::guard::{self, Admission, Changes, Decision, Outcome, Settings};
use hikyaku_access::history::{self, Client};
use hikyaku_access::policy::{Limits, Note};
use hikyaku_access::rule::{Allow, Level, Origin};
use hikyaku_access::{Capacity, Cluster, State};
use hikyaku_directory::{self as directory, Claim, Directory, Entrance, SignInError};
use hikyaku_store::{Store, StoreError};
use hikyaku_types::{Clock, NodeId, Random, RisingIds};
use tokio::time::{Instant, sleep_until};

use crate::atlas::Atlas;
use crate::cluster::Heard;
use crate::key::Key;
use crate::line::{Learned, Line};
use crate::number::{self, Number};
use crate::pending::Pending;
use crate::permits::Permits;
use crate::rules;
use crate::sessions::{Doubted, Sessions, Visit};
use crate::settings::Made;
use crate::shared::Seen;

/// What somebody offers to be let in.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// To what.
    pub service: Service,
    /// From where: the client's address, also behind a proxy of ours.
    pub source: IpAddr,
    /// What the client calls itself; may be empty.
    pub client: &'a str,
    /// As whom.
    pub name: &'a str,
    /// On behalf of whom, if that was said; nobody acts on behalf of another.
    pub authorization: Option<&'a str>,
    /// With which password or app password.
    pub password: &'a [u8],
}

/// How a secret came: what a wrong one costs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// In clear. A wrong one is hashed, so whatever fails waits for the pool of hashes once.
    InClear,
    /// As a proof of it: nothing is hashed, and nothing waits.
    ByProof,
}

/// The way in. One a process.
pub struct Gate {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) ids: Arc<RisingIds>,
    pub(crate) key: Key,
    pub(crate) atlas: Atlas,
    state: Mutex<State>,
    permits: Permits,
    pub(crate) made: Made,
    pub(crate) pending: Mutex<Pending>,
    /// What of the other nodes' lines and blocks was seen.
    pub(crate) seen: Mutex<Seen>,
    /// Who is signed in here.
    pub(crate) sessions: Arc<Sessions>,
    /// Sessions that must be looked at.
    pub(crate) doubted: Mutex<Vec<Doubted>>,
    /// Tells this process from others on the same database.
    pub(crate) life: i64,
    /// What it has claimed, if it has.
    pub(crate) claimed: Option<NodeId>,
    pub(crate) heard: Mutex<Heard>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    /// The way into what the directory knows, remembering what the access database does.
    /// `ids` must be those of this node.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(
        store: Arc<Store>,
        directory: Arc<Directory>,
        ids: Arc<RisingIds>,
        clock: Arc<dyn Clock>,
        random: &dyn Random,
        node: NodeId,
    ) -> Result<Self, StoreError> {
        let key = Key::open(&store, random).await?;
        let state = State::new(Limits::default(), Capacity::default(), Cluster::alone(node));
        let gate = Self {
            store,
            clock,
            directory,
            ids,
            key,
            atlas: Atlas::default(),
            state: Mutex::new(state),
            permits: Permits::default(),
            made: Made::default(),
            pending: Mutex::default(),
            seen: Mutex::default(),
            sessions: Arc::default(),
            doubted: Mutex::default(),
            life: number::life(random),
            claimed: None,
            heard: Mutex::default(),
        };
        gate.remember().await?;
        Ok(gate)
    }

    /// The same, and it asks where sources are.
    #[must_use]
    pub fn with_places(self, atlas: Atlas) -> Self {
        Self { atlas, ..self }
    }

    /// The same, and it is known to others by the number that this process has claimed.
    #[must_use]
    pub fn with_number(self, number: &Number) -> Self {
        Self { life: number.life(), claimed: Some(number.node()), ..self }
    }

    /// Lets somebody in as long as the visit lives, or says no when it is time to.
    ///
    /// # Errors
    /// [`SignInError`]; `Refused` for every cause that is not our own fault.
    pub async fn sign_in(&self, offer: &Offer<'_>) -> Result<Visit, SignInError> {
        self.in_time(offer.source, self.decide(offer)).await
    }

    /// Carries an attempt out under a permit of its source; a failure is kept until it is time.
    pub(crate) async fn in_time<T>(
        &self,
        source: IpAddr,
        attempt: impl Future<Output = Result<T, SignInError>>,
    ) -> Result<T, SignInError> {
        let _permit = self.permits.of(source).await;
        let answered = Instant::now() + guard::answer_after(source, &self.state(), self.clock.now());
        let decided = attempt.await;
        if decided.is_err() {
            sleep_until(answered).await;
        }
        decided
    }

    async fn decide(&self, offer: &Offer<'_>) -> Result<Visit, SignInError> {
        if offer.authorization.is_some_and(|other| !other.is_empty() && other != offer.name) {
            return Err(SignInError::Refused);
        }
        let claim = self.directory.claim(offer.name, offer.password).await?;
        let now = self.clock.now();
        let groups = self.groups(&claim).await?;
        let sources = claim.app_password_sources().map(allowed);
        let attempt = Attempt {
            now,
            service: offer.service,
            ip: offer.source,
            place: self.atlas.place(offer.source),
            subject: self.subject(&claim, offer.name, &groups),
            credential: match &sources {
                Some(allow) => Credential::LongSecret { allow },
                None => Credential::Password(self.key.tag(offer.password, now)),
            },
        };
        let used = directory::Attempt { entrance: entrance(offer.service), source: offer.source };
        // Its own bounds hold how many hashes are computed at once.
        let check = self.directory.prove(&claim, offer.password, &used);
        let account = self.judged(&attempt, offer.client, Way::InClear, check).await?;
        // Gone meanwhile is as wrong.
        let shown = self.directory.shown(&claim).await?.ok_or(SignInError::Refused)?;
        Ok(self.enter(&attempt, offer.client, account, shown)?)
    }

    /// Decides about an attempt, checks it if it may be, and remembers what came of it.
    pub(crate) async fn judged<T>(
        &self,
        attempt: &Attempt<'_>,
        client: &str,
        way: Way,
        check: impl Future<Output = Result<T, SignInError>>,
    ) -> Result<T, SignInError> {
        let settings = self.settings(attempt.subject.tenant()).await?;
        let admission = self.before(attempt, &settings);
        let (outcome, answer) = match admission.decision {
            Decision::Check => {
                let answer = check.await;
                (outcome(&answer), answer)
            }
            Decision::Challenge(_) | Decision::Refuse(_) => (Outcome::NotChecked, Err(SignInError::Refused)),
        };
        // A failure that costs no hash, like that of an app password, waits as one that does.
        let was_hashed =
            outcome != Outcome::NotChecked && matches!(attempt.credential, Credential::Password(_));
        let answer = match answer {
            Err(SignInError::Refused) if way == Way::InClear && !was_hashed => {
                self.directory.password_turn().await.and(Err(SignInError::Refused))
            }
            answer => answer,
        };
        let changes = self.after(attempt, &admission, outcome, &settings);
        self.note(attempt, &admission, outcome, &changes, client).await;
        answer
    }

    /// The groups with rules that the account of a claim is in.
    pub(crate) async fn groups(&self, claim: &Claim) -> Result<Vec<GroupId>, StoreError> {
        let Some(account) = claim.account() else { return Ok(Vec::new()) };
        let access = self.directory.access(account.home.tenant).await?;
        Ok(rules::groups(&access, account.home.account))
    }

    pub(crate) fn subject<'g>(&self, claim: &Claim, name: &str, groups: &'g [GroupId]) -> Subject<'g> {
        match (claim.account(), claim.domain()) {
            (Some(account), Some(domain)) => Subject::Account(AccountFacts {
                tenant: account.home.tenant,
                account: account.home.account,
                domain: domain.id,
                groups,
                suspended: claim.is_suspended(),
            }),
            (_, domain) => {
                Subject::Missing { tenant: domain.map(|domain| domain.tenant), name: self.key.name(name) }
            }
        }
    }

    fn before(&self, attempt: &Attempt<'_>, settings: &Settings) -> Admission {
        let mut state = self.state();
        let admission = guard::before(attempt, settings, &state);
        state.claim(attempt, &admission);
        admission
    }

    fn after(
        &self,
        attempt: &Attempt<'_>,
        admission: &Admission,
        outcome: Outcome,
        settings: &Settings,
    ) -> Changes {
        let mut state = self.state();
        let changes = guard::after(attempt, admission, outcome, settings, &state);
        state.keep(attempt, &changes);
        changes
    }

    /// Writes history: at once if others must know, else with the next flush.
    async fn note(
        &self,
        attempt: &Attempt<'_>,
        admission: &Admission,
        outcome: Outcome,
        changes: &Changes,
        client: &str,
    ) {
        let Some(record) = history::record(attempt, admission, outcome, Client::new(client)) else { return };
        let (learned, tag) = learned(changes);
        let line = Line {
            id: self.ids.next(attempt.now),
            record,
            standing: admission.standing,
            would_refuse: would_refuse(&admission.would_refuse),
            times: 1,
            last: attempt.now,
            node: self.state().node(),
            learned,
            tag,
        };
        if !changes.are_shared() {
            self.pending().add(line);
            return;
        }
        let written = self.write_shared(line.clone(), changes.block).await;
        if let Err(error) = written {
            tracing::error!(%error, "a sign-in could not be written to the history, and will be later");
            self.pending().add(line);
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outcome<T>(answer: &Result<T, SignInError>) -> Outcome {
    match answer {
        Ok(_) => Outcome::Good,
        Err(SignInError::Refused) => Outcome::Wrong,
        Err(SignInError::Unavailable) => Outcome::Unavailable,
    }
}

fn learned(changes: &Changes) -> (Learned, Option<hikyaku_access::facts::Tag>) {
    match changes.event.map(|event| event.what) {
        Some(What::Good { vouches: true, .. }) => (Learned::Vouch, None),
        Some(What::Good { vouches: false, .. }) => (Learned::Good, None),
        Some(What::Wrong { tag, .. }) => (Learned::Wrong, Some(tag)),
        Some(What::Unchecked { .. }) | None => (Learned::Nothing, None),
    }
}

/// The list of an app password. Its notes are nobody's: it has a title.
pub(crate) fn allowed(sources: Vec<hikyaku_types::Network>) -> Vec<Allow> {
    let note = Note::new("of the app password").expect("a note");
    let entry = |network| Allow { origin: Origin::Network(network), note: note.clone(), until: None };
    sources.into_iter().map(entry).collect()
}

fn would_refuse(levels: &[Level]) -> String {
    let word = |level: &Level| match level {
        Level::Tenant => "tenant",
        Level::Domain(_) => "domain",
        Level::Group(_) => "group",
        Level::Account(_) => "account",
    };
    levels.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// What the directory calls it.
pub(crate) fn entrance(service: Service) -> Entrance {
    match service {
        Service::Imap => Entrance::Imap,
        Service::Pop3 => Entrance::Pop3,
        Service::Submission => Entrance::Submission,
        Service::ManageSieve => Entrance::ManageSieve,
        Service::Webmail => Entrance::Webmail,
        Service::Panel => Entrance::Api,
    }
}
