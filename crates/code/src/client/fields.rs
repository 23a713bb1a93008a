//! The fields of a message in the encoding of protocol buffers, as far as NATS Streaming needs it: numbers and bytes.

/// A message that is put together.
#[derive(Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn number(mut self, field: u64, value: u64) -> Fields {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    pub(super) fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Fields {
        let value = value.as_ref();
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A message that was read.
pub(super) struct Read<'m>(Vec<(u64, Value<'m>)>);

enum Value<'m> {
    Number(u64),
    Bytes(&'m [u8]),
}

impl<'m> Read<'m> {
    /// Reads a message; `None` if it is none.
    pub(super) fn of(mut message: &'m [u8]) -> Option<Read<'m>> {
        let mut fields = Vec::new();
        while !message.is_empty() {
            let key = varint(&mut message)?;
            let value = match key & 7 {
                0 => Value::Number(varint(&mut message)?),
                2 => {
                    let length = usize::try_from(varint(&mut message)?).ok()?;
                    let (bytes, rest) = message.split_at_checked(length)?;
                    message = rest;
                    Value::Bytes(bytes)
                }
                _ => return None,
            };
            fields.push((key >> 3, value));
        }
        Some(Read(fields))
    }

    /// A number, which is 0 where there is none.
    pub(super) fn number(&self, field: u64) -> u64 {
        let mut numbers = self.0.iter().filter_map(|(known, value)| match value {
            Value::Number(number) if *known == field => Some(*number),
            _ => None,
        });
        numbers.next().unwrap_or(0)
    }

    /// Bytes, which are none where there are none.
    pub(super) fn bytes(&self, field: u64) -> &'m [u8] {
        let mut found = self.0.iter().filter_map(|(known, value)| match value {
            Value::Bytes(bytes) if *known == field => Some(*bytes),
            _ => None,
        });
        found.next().unwrap_or(&[])
    }

    /// A text, which is empty where there is none.
    pub(super) fn text(&self, field: u64) -> String {
        String::from_utf8_lossy(self.bytes(field)).into_owned()
    }
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_is_read_and_what_is_cut_off_is_not() {
        let message = Fields::default().number(1, 300).bytes(2, "ticket:updated").number(6, u64::MAX).done();
        let read = Read::of(&message).expect("a message");
        assert_eq!((read.number(1), read.text(2), read.number(6)), (300, "ticket:updated".to_owned(), u64::MAX));
        assert_eq!((read.number(2), read.text(9)), (0, String::new()));
        // Not where a field has ended.
        let ends = [0, 3, 19];
        for length in (0..message.len()).filter(|length| !ends.contains(length)) {
            assert!(Read::of(&message[..length]).is_none(), "{length}");
        }
    }
}
