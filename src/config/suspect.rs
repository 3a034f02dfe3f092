//! What looks like a secret. A guess, so nothing is refused because of it: what looks like one is not quoted, and is
//! warned of where it stands openly in a URL.

/// Shorter words are no keys.
const SHORTEST_KEY: usize = 16;

/// In a word of people digits stand together; in a key they do not.
const CHANGES: usize = 4;

/// Shorter values are not keys, even of a parameter that is called one.
const SHORTEST_NAMED_KEY: usize = 8;

/// What parameters and headers with a secret are called, in part.
const SECRET_NAMES: &[&str] = &["auth", "cookie", "key", "passw", "pwd", "secret", "token"];

/// Where Avalanche nodes serve a chain. Its id follows, which is public though it looks like a key.
const BEFORE_CHAIN_ID: &str = "/ext/bc/";

/// Whether some word of `text` is long and mixes letters and digits as keys do: `9aa3d95b3bc440fa88ea12eaa4456161`.
pub(super) fn looks_like_a_secret(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(is_mixed)
}

fn is_mixed(word: &str) -> bool {
    let kinds: Vec<bool> = word.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.is_ascii_digit()).collect();
    SHORTEST_KEY <= word.len() && CHANGES <= kinds.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// Whether a parameter or header of this name usually holds a secret.
pub(super) fn is_named_like_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|word| name.contains(word))
}

/// Whether the path or the query of a URL seems to hold a key.
pub(super) fn holds_a_key(path_and_query: &str) -> bool {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let named = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or_default();
        is_named_like_a_secret(name) && SHORTEST_NAMED_KEY <= value.len()
    };
    let (before, chain) = path.split_once(BEFORE_CHAIN_ID).unwrap_or((path, ""));
    let after = chain.split_once('/').map_or("", |(_id, after)| after);
    [before, after].into_iter().any(looks_like_a_secret)
        || query.split('&').any(|pair| looks_like_a_secret(pair) || named(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_providers_are_recognized_and_words_are_not() {
        for path in [
            "/v3/9aa3d95b3bc440fa88ea12eaa4456161",
            "/v2/xT4vWl-8Qz1mN0aRk7YbC3dE5fGhJ6uP",
            "/3f1c9b2e-7a54-4d1b-9c0e-2f6a8b1d4e7c/",
            "/?apikey=hunter2hunter2",
            "/rpc?access_token=abcdefgh",
            "/9aa3d95b3bc440fa88ea12eaa4456161/ext/bc/C/rpc",
            "/ext/bc/C/rpc/9aa3d95b3bc440fa88ea12eaa4456161",
        ] {
            assert!(holds_a_key(path), "{path}");
        }
        for path in [
            "/",
            "/rpc",
            "/ext/bc/C/rpc",
            "/ext/bc/2q9e4r6Mu3U68nU1fYjgbR6JvwrRx36CohpAX5UQxse55x1Q5/rpc",
            "/mainnet-archive-node-2024-10",
            "/v1/networks/ethereum-mainnet/node-17",
            "/?page=1&size=2",
            "/?key=1",
            "/averyveryverylongwordwithoutdigits",
        ] {
            assert!(!holds_a_key(path), "{path}");
        }
    }
}
