//! W1 as plain arrays and one loop: what the work costs without a testbed.

use pellmell::hash::mix;

#[derive(Clone, Copy)]
struct Pending {
    ticket: u8,
    version: u8,
    price: u8,
}

/// Plays one run and returns its deliveries.
pub(crate) fn play(seed: u64) -> u64 {
    let mut prices = [[0u8; 8]; 8];
    let mut pending = Vec::with_capacity(128);
    for i in 0..64u8 {
        let (ticket, version, price) = (i % 8, i / 8, 10 + ((u32::from(i) * 7) % 13) as u8);
        prices[usize::from(ticket)][usize::from(version)] = price;
        pending.push(Pending { ticket, version, price });
    }
    let mut held = [-1i16; 8];
    let mut copies = [0u8; 8];
    let (mut state, mut deliveries) = (mix(seed, 1), 0u64);
    while !pending.is_empty() {
        state = mix(state, pending.len() as u64);
        let place = (((state >> 32) * pending.len() as u64) >> 32) as usize;
        let message = pending[place];
        let faults = mix(state, 2);
        deliveries += 1;
        if ((faults & 0xffff_ffff) * 10) >> 32 == 0 {
            pending.push(message);
        }
        let (ticket, version) = (usize::from(message.ticket), i16::from(message.version));
        if version == held[ticket] + 1 {
            held[ticket] = version;
            copies[ticket] = message.price;
            assert_eq!(prices[ticket][usize::from(message.version)], message.price);
        } else if version > held[ticket] {
            continue;
        }
        if ((faults >> 32) * 10) >> 32 != 0 {
            pending.swap_remove(place);
        }
    }
    for ticket in 0..8 {
        assert_eq!((held[ticket], copies[ticket]), (7, prices[ticket][7]));
    }
    deliveries
}
