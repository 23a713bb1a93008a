//! The text protocol of NATS: what a client says, and what it subscribes to.

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Op {
    Connect,
    Ping,
    Pong,
    Sub {
        subject: String,
        sid: String,
    },
    /// After so many messages, if there is a number.
    Unsub {
        sid: String,
        after: Option<u64>,
    },
    Pub {
        subject: String,
        reply: Option<String>,
        payload: Vec<u8>,
    },
}

/// The most bytes that are read without coming to an end of something.
const BYTES_MAX: usize = 4 << 20;

impl Op {
    /// Takes what is said first out of what was read, if all of it is there.
    ///
    /// # Errors
    /// If it is no NATS.
    pub(super) fn take(read: &mut Vec<u8>) -> Result<Option<Op>, String> {
        let Some(end) = read.windows(2).position(|bytes| bytes == b"\r\n") else {
            return if read.len() > BYTES_MAX { Err("a line without end".to_owned()) } else { Ok(None) };
        };
        let line = String::from_utf8_lossy(&read[..end]).into_owned();
        let wrong = || format!("`{}`", line.chars().take(200).collect::<String>());
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let verb = words.first().map(|verb| verb.to_ascii_uppercase()).unwrap_or_default();
        let (mut taken, text) = (end + 2, |place: usize| words[place].to_owned());
        let op = match (verb.as_str(), words.len()) {
            ("CONNECT", _) => Op::Connect,
            ("PING", 1) => Op::Ping,
            ("PONG", 1) => Op::Pong,
            ("SUB", 3 | 4) => Op::Sub { subject: text(1), sid: text(words.len() - 1) },
            ("UNSUB", 2) => Op::Unsub { sid: text(1), after: None },
            ("UNSUB", 3) => Op::Unsub { sid: text(1), after: Some(words[2].parse().map_err(|_| wrong())?) },
            ("PUB", 3 | 4) => {
                let length: usize = words[words.len() - 1].parse().map_err(|_| wrong())?;
                let all = end + 2 + length + 2;
                if length > BYTES_MAX || read.len() < all {
                    return if length > BYTES_MAX { Err(wrong()) } else { Ok(None) };
                }
                taken = all;
                let payload = read[end + 2..end + 2 + length].to_vec();
                Op::Pub { subject: text(1), reply: (words.len() == 4).then(|| text(2)), payload }
            }
            _ => return Err(wrong()),
        };
        read.drain(..taken);
        Ok(Some(op))
    }
}

/// Whether a subject is one of those that a client has subscribed to.
pub(super) fn fits(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_taken_when_it_is_there_whole() {
        let said = b"CONNECT {}\r\nSUB a.* 1\r\nsub b q 2\r\nPUB x r 2\r\n\r\n\r\nUNSUB 1 5\r\nPING\r\n";
        let mut ops = Vec::new();
        let mut read = Vec::new();
        for byte in said {
            read.push(*byte);
            ops.extend(Op::take(&mut read).expect("it is NATS"));
        }
        let sub = |subject: &str, sid: &str| Op::Sub { subject: subject.to_owned(), sid: sid.to_owned() };
        let publish = Op::Pub { subject: "x".to_owned(), reply: Some("r".to_owned()), payload: b"\r\n".to_vec() };
        let unsub = Op::Unsub { sid: "1".to_owned(), after: Some(5) };
        assert_eq!(ops, [Op::Connect, sub("a.*", "1"), sub("b", "2"), publish, unsub, Op::Ping]);
        assert_eq!(Op::take(&mut b"HPUB a 1 2\r\n".to_vec()), Err("`HPUB a 1 2`".to_owned()));
    }

    #[test]
    fn subjects_fit_by_token() {
        for (pattern, subject, is_fit) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("*", "a:b", true),
        ] {
            assert_eq!(fits(pattern, subject), is_fit, "{pattern} {subject}");
        }
    }
}
