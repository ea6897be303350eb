//! SPDX licence expressions, as manifests have them: `AND`, `OR`, `WITH`, parentheses, and
//! the `/` of old manifests, which means `OR`.

/// Is `expression` satisfied when we keep to the licences that `allowed` takes? `allowed`
/// gets single names, with an exception after them if one is there.
pub(crate) fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, allowed };
    let answer = parser.any()?;
    match parser.words {
        [] => Ok(answer),
        [word, ..] => Err(format!("`{word}` was not expected")),
    }
}

struct Parser<'a> {
    /// What is left to read.
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    /// Takes the next word if it is `word`.
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut answer = self.all()?;
        while self.take("OR") {
            answer |= self.all()?;
        }
        Ok(answer)
    }

    /// AND binds closer than OR.
    fn all(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.take("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let answer = self.any()?;
            return if self.take(")") { Ok(answer) } else { Err("`)` is missing".to_owned()) };
        }
        let name = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            return Ok((self.allowed)(&format!("{name} WITH {exception}")));
        }
        Ok((self.allowed)(name))
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let (name, rest) = self.words.split_first().ok_or("it ends too early")?;
        if ["AND", "OR", "WITH", "(", ")"].contains(name) {
            return Err(format!("`{name}` was not expected"));
        }
        self.words = rest;
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed =
            |name: &str| ["MIT", "ISC", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].contains(&name);
        for (expression, expected) in [
            ("MIT", Ok(true)),
            ("GPL-3.0", Ok(false)),
            ("MIT OR GPL-3.0", Ok(true)),
            ("GPL-3.0 OR MIT", Ok(true)),
            ("MIT/GPL-3.0", Ok(true)),
            ("MIT AND GPL-3.0", Ok(false)),
            ("MIT AND ISC", Ok(true)),
            ("MIT OR ISC AND GPL-3.0", Ok(true)),
            ("(MIT OR ISC) AND GPL-3.0", Ok(false)),
            ("(MIT OR GPL-3.0) AND (ISC OR GPL-3.0)", Ok(true)),
            ("Apache-2.0 WITH LLVM-exception", Ok(true)),
            ("ISC WITH LLVM-exception", Ok(false)),
            ("GPL-2.0 WITH Classpath-exception-2.0", Ok(false)),
            ("MIT+", Ok(false)),
            ("", Err("it ends too early")),
            ("MIT OR", Err("it ends too early")),
            ("MIT ISC", Err("`ISC` was not expected")),
            ("(MIT", Err("`)` is missing")),
            ("MIT)", Err("`)` was not expected")),
            ("AND MIT", Err("`AND` was not expected")),
        ] {
            assert_eq!(satisfied(expression, &allowed), expected.map_err(str::to_owned), "{expression:?}");
        }
    }
}
