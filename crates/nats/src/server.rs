//! The server of NATS and JetStream of `pellmell_code`, with what a test says around it.

use std::net::TcpListener;
use std::sync::Arc;

use crate::about::About;
use crate::service::Conversation;
use pellmell_code::nats::{Around, Interest, TakesDown};

pub(crate) use pellmell_code::nats::{Publishes, Server, Wanted};

/// A server for the clients of one service of a test.
pub(crate) fn server(listener: TcpListener, about: Arc<About>, conversation: Option<Conversation>) -> Server {
    let takes_down = conversation.map(|conversation| -> TakesDown { Box::new(move |line| conversation.add(line)) });
    Server::new(listener, about, takes_down)
}

impl Around for About {
    fn streams(&self) -> Vec<(String, Vec<String>)> {
        About::streams(self).map(|(name, subjects)| (name.to_owned(), subjects.to_vec())).collect()
    }

    fn interest(&self, subject: &str) -> Interest {
        if self.is_known(subject) {
            Interest::Known
        } else if self.is_ignored(subject) {
            Interest::Ignored
        } else {
            Interest::Unknown
        }
    }

    fn says_a_stream(&self) -> &'static str {
        "say which one does with `.stream(\"NAME\", [\"SUBJECT\"])`"
    }

    fn says_a_subject(&self) -> &'static str {
        "say what its messages are about with `.about(\"SUBJECT\", Naming::of('x'))`, or that nobody cares with \
         `.ignoring(\"SUBJECT\")`"
    }
}
