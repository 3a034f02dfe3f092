//! The query part of a URL.

/// Parameters of one request that are looked at.
const MAX_PARAMETERS: usize = 64;

/// The decoded parameters in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=1&b=2`; `+` is a space, `%` introduces a byte in hexadecimal, bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let parameters = text.split('&').filter(|part| !part.is_empty()).take(MAX_PARAMETERS);
        Self(
            parameters
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .map(|(n, v)| (decode(n), decode(v)))
                .collect(),
        )
    }

    /// The first value of a parameter; an empty one counts as not given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, value)| given == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that may be given several times.
    pub fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.extend(hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("network=main%20net&rule_name[]=A&rule_name%5B%5D=B&flag&bad=%zz%2&empty=&e=%c3%a9+x");
        assert_eq!(query.get("network"), Some("main net"));
        assert_eq!(query.all("rule_name[]").collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(query.all("flag").collect::<Vec<_>>(), [""]);
        assert_eq!((query.get("bad"), query.get("empty"), query.get("e")), (Some("%zz%2"), None, Some("é x")));
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        assert_eq!(Query::parse("a=%ff%00").get("a"), Some("\u{fffd}\0"));
        assert_eq!(Query::parse(&"a=1&".repeat(1000)).all("a").count(), MAX_PARAMETERS);
    }
}
