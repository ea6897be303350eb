//! Every capability in one table, with the moments at which it is told.
//!
//! Standards: RFC 3501 section 7.2.1; each row names its own.
//!
//! A row is here when this crate parses and prints what the capability promises. Whether a
//! server keeps the promise is the server's to say: it passes the rows that it serves.

use std::fmt;

/// What decides about capabilities in one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Is the connection encrypted, or need it not be because it stays on the machine?
    pub tls: bool,
    /// Can it become so: does the listener offer STARTTLS?
    pub starttls: bool,
    /// Has somebody signed in?
    pub signed_in: bool,
}

/// When a capability is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// While the connection is not encrypted and could be.
    BeforeTls,
    /// While nobody may sign in: not encrypted, not signed in.
    WithoutTls,
    /// While somebody may sign in: encrypted, not signed in.
    BeforeSignIn,
    /// After signing in.
    AfterSignIn,
}

impl When {
    /// Is it now?
    pub fn is(self, moment: Moment) -> bool {
        match self {
            Self::Always => true,
            Self::BeforeTls => moment.starttls && !moment.tls && !moment.signed_in,
            Self::WithoutTls => !moment.tls && !moment.signed_in,
            Self::BeforeSignIn => moment.tls && !moment.signed_in,
            Self::AfterSignIn => moment.signed_in,
        }
    }
}

macro_rules! capabilities {
    ($($variant:ident $name:literal $when:ident $standard:literal;)*) => {
        /// What a server can promise, named as in CAPABILITY.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Capability {$(
            #[doc = $standard]
            $variant,
        )*}

        impl Capability {
            /// All, in the order in which they are told.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// When it is told.
            pub const fn when(self) -> When {
                match self { $(Self::$variant => When::$when,)* }
            }
        }
    };
}

#[rustfmt::skip]
capabilities! {
    Imap4Rev1       "IMAP4rev1"            Always       "RFC 3501";
    Imap4Rev2       "IMAP4rev2"            Always       "RFC 9051";
    LiteralPlus     "LITERAL+"             Always       "RFC 7888";
    SaslIr          "SASL-IR"              Always       "RFC 4959";
    Id              "ID"                   Always       "RFC 2971";
    Enable          "ENABLE"               Always       "RFC 5161";
    StartTls        "STARTTLS"             BeforeTls    "RFC 3501 section 6.2.1";
    LoginDisabled   "LOGINDISABLED"        WithoutTls   "RFC 3501 section 6.2.3";
    AuthPlain       "AUTH=PLAIN"           BeforeSignIn "RFC 4616";
    AuthOauthBearer "AUTH=OAUTHBEARER"     BeforeSignIn "RFC 7628";
    AuthScram256    "AUTH=SCRAM-SHA-256"   BeforeSignIn "RFC 7677";
    AuthScram256Plus "AUTH=SCRAM-SHA-256-PLUS" BeforeSignIn "RFC 7677: where the channel can be bound";
    Idle            "IDLE"                 AfterSignIn  "RFC 2177";
    Namespace       "NAMESPACE"            AfterSignIn  "RFC 2342";
    Children        "CHILDREN"             AfterSignIn  "RFC 3348";
    UidPlus         "UIDPLUS"              AfterSignIn  "RFC 4315";
    Unselect        "UNSELECT"             AfterSignIn  "RFC 3691";
    Move            "MOVE"                 AfterSignIn  "RFC 6851";
    SpecialUse      "SPECIAL-USE"          AfterSignIn  "RFC 6154";
    CreateSpecial   "CREATE-SPECIAL-USE"   AfterSignIn  "RFC 6154 section 3";
    ListExtended    "LIST-EXTENDED"        AfterSignIn  "RFC 5258";
    ListStatus      "LIST-STATUS"          AfterSignIn  "RFC 5819";
    StatusSize      "STATUS=SIZE"          AfterSignIn  "RFC 8438";
    ESearch         "ESEARCH"              AfterSignIn  "RFC 4731";
    SearchRes       "SEARCHRES"            AfterSignIn  "RFC 5182";
    Within          "WITHIN"               AfterSignIn  "RFC 5032";
    Sort            "SORT"                 AfterSignIn  "RFC 5256";
    SortDisplay     "SORT=DISPLAY"         AfterSignIn  "RFC 5957";
    ESort           "ESORT"                AfterSignIn  "RFC 5267 section 3";
    ThreadRefs      "THREAD=REFERENCES"    AfterSignIn  "RFC 5256";
    ThreadSubject   "THREAD=ORDEREDSUBJECT" AfterSignIn "RFC 5256";
    CondStore       "CONDSTORE"            AfterSignIn  "RFC 7162";
    QResync         "QRESYNC"              AfterSignIn  "RFC 7162";
    Binary          "BINARY"               AfterSignIn  "RFC 3516";
    MultiAppend     "MULTIAPPEND"          AfterSignIn  "RFC 3502";
    AppendLimit     "APPENDLIMIT"          AfterSignIn  "RFC 7889: the limit is told by STATUS";
    ObjectId        "OBJECTID"             AfterSignIn  "RFC 8474";
    Preview         "PREVIEW"              AfterSignIn  "RFC 8970";
    SaveDate        "SAVEDATE"             AfterSignIn  "RFC 8514";
    Quota           "QUOTA"                AfterSignIn  "RFC 9208";
    QuotaStorage    "QUOTA=RES-STORAGE"    AfterSignIn  "RFC 9208 section 5.1";
    QuotaMessage    "QUOTA=RES-MESSAGE"    AfterSignIn  "RFC 9208 section 5.2";
    Unauthenticate  "UNAUTHENTICATE"       AfterSignIn  "RFC 8437";
    CompressDeflate "COMPRESS=DEFLATE"     AfterSignIn  "RFC 4978";
    Utf8Accept      "UTF8=ACCEPT"          AfterSignIn  "RFC 6855";
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Those of `served` that are told now, in the table's order.
pub fn told<'a>(served: &'a [Capability], moment: Moment) -> impl Iterator<Item = Capability> + 'a {
    Capability::ALL
        .iter()
        .copied()
        .filter(move |capability| served.contains(capability) && capability.when().is(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tls: bool, starttls: bool, signed_in: bool) -> String {
        use Capability::*;
        let served = [Idle, AuthPlain, LoginDisabled, StartTls, Imap4Rev1];
        let names: Vec<_> =
            told(&served, Moment { tls, starttls, signed_in }).map(Capability::as_str).collect();
        names.join(" ")
    }

    #[test]
    fn told_at_the_right_moment() {
        assert_eq!(names(false, true, false), "IMAP4rev1 STARTTLS LOGINDISABLED");
        assert_eq!(names(false, false, false), "IMAP4rev1 LOGINDISABLED");
        assert_eq!(names(true, true, false), "IMAP4rev1 AUTH=PLAIN");
        assert_eq!(names(true, false, true), "IMAP4rev1 IDLE");
    }

    #[test]
    fn every_name_is_an_atom_and_stands_once() {
        for (index, capability) in Capability::ALL.iter().enumerate() {
            assert!(capability.as_str().bytes().all(crate::parse::is_atom_char), "{capability}");
            assert!(Capability::ALL[..index].iter().all(|other| other.as_str() != capability.as_str()));
        }
    }
}
