//! Enumerations whose values are words of the protocol: one list gives type, parser, printer.

/// Declares an enum of protocol words with `parse` (without regard to case) and `as_str`.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident $expected:literal { $($(#[$word_doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$word_doc])* $variant,)* }

        impl $name {
            /// Every value, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value of the word that stands here.
            pub fn parse(input: &[u8]) -> $crate::parse::Parsed<'_, Self> {
                let (rest, text) = $crate::parse::take_while(input, |byte| {
                    $crate::parse::is_atom_char(byte) || byte == b'\\'
                });
                match Self::ALL.iter().find(|word| word.as_str().as_bytes().eq_ignore_ascii_case(text)) {
                    Some(word) => Ok((rest, *word)),
                    None => Err($crate::parse::Malformed($expected)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;
