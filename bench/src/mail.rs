//! Mail as it really is: about half of it goes away when it is compressed.
//!
//! A header with the random parts that real ones have (ids, a signature), and a body of
//! words with the frequencies of a language.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hikyaku_testkit::Rng;

const SYLLABLES: [&str; 24] = [
    "ka", "shi", "to", "ra", "men", "ko", "ni", "den", "wa", "su", "pro", "ject", "mee", "ting", "re",
    "port", "ing", "ly", "con", "tract", "so", "mu", "hi", "ya",
];

/// Makes mails of about one size.
pub(crate) struct Writer {
    rng: Rng,
    words: Vec<String>,
    number: u64,
}

impl Writer {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let words = (0..4_000)
            .map(|_| (0..1 + rng.below(4)).map(|_| *rng.pick(&SYLLABLES)).collect::<String>())
            .collect();
        Self { rng, words, number: 0 }
    }

    /// Few words are common, many are rare.
    fn word(&mut self) -> String {
        let most = self.words.len() as u64;
        let nearer = self.rng.below(most) * self.rng.below(most) / most;
        self.words[nearer as usize].clone()
    }

    fn token(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        (0..length).map(|_| char::from(*self.rng.pick(LETTERS))).collect()
    }

    /// A mail of about `size` bytes, with CRLF line ends, and its Message-ID. Its signature is
    /// invented.
    pub(crate) fn mail(&mut self, size: usize) -> (Vec<u8>, String) {
        let (hash, signature) = (self.token(44), self.token(340));
        let field = format!(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s2026;\r\n\
             \th=from:to:subject:date:message-id; bh={hash};\r\n\tb={signature}\r\n"
        );
        let (text, id) = self.unsigned(size.saturating_sub(field.len()));
        ([field, text].concat().into_bytes(), id)
    }

    /// The same without a signature.
    pub(crate) fn unsigned(&mut self, size: usize) -> (String, String) {
        let (mut text, id) = self.header("Content-Type: text/plain; charset=utf-8\r\n");
        text.push_str("Content-Transfer-Encoding: 7bit\r\n\r\n");
        self.write_lines(&mut text, size);
        (text, id)
    }

    /// A mail of about `size` bytes with 3 KB of text and one attachment that was compressed
    /// before, as pictures, PDF and office files are.
    pub(crate) fn with_attachment(&mut self, size: usize) -> String {
        let (mut text, _) = self.header("Content-Type: multipart/mixed; boundary=\"next-part\"\r\n");
        text.push_str("\r\n--next-part\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
        let text_until = text.len() + 3_000;
        self.write_lines(&mut text, text_until);
        text.push_str(
            "\r\n--next-part\r\nContent-Type: application/pdf; name=\"report.pdf\"\r\n\
             Content-Disposition: attachment; filename=\"report.pdf\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n",
        );
        while text.len() < size {
            let mut bytes = [0; 57];
            bytes.fill_with(|| self.rng.below(256) as u8);
            text.push_str(&STANDARD.encode(bytes));
            text.push_str("\r\n");
        }
        text.push_str("\r\n--next-part--\r\n");
        text
    }

    /// The fields of a mail, these last ones with them, and its Message-ID.
    fn header(&mut self, last: &str) -> (String, String) {
        self.number += 1;
        let id = format!("{}.{}@mail.example.com", self.token(16), self.number);
        let header = format!(
            "Received: from app-{}.example.com (app.example.com [192.0.2.{}])\r\n\
             \tby mail.example.com with ESMTPS id {}; Tue, 24 Nov 2026 03:34:27 +0000\r\n\
             From: \"{} {}\" <{}@example.com>\r\nTo: <{}@example.org>\r\nSubject: {} {} {}\r\n\
             Date: Tue, 24 Nov 2026 03:34:27 +0000\r\nMessage-ID: <{id}>\r\nMIME-Version: 1.0\r\n{last}",
            self.rng.below(40),
            self.rng.below(250),
            self.token(12),
            self.word(),
            self.word(),
            self.word(),
            self.word(),
            self.word(),
            self.word(),
            self.word(),
        );
        (header, id)
    }

    /// Words in lines, until the text has so many bytes.
    fn write_lines(&mut self, text: &mut String, size: usize) {
        while text.len() < size {
            let mut line = String::new();
            while line.len() < 68 {
                line.push_str(&self.word());
                line.push(' ');
            }
            text.push_str(line.trim_end());
            text.push_str("\r\n");
        }
    }
}
