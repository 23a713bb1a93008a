//! A way to a server that can be cut: to the server as if the member's process had been killed.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::Fallible;

pub struct Relay {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Relay {
    pub async fn to(server: SocketAddr) -> Fallible<Relay> {
        Relay::at(SocketAddr::from(([127, 0, 0, 1], 0)), server).await
    }

    /// The same at an address that is given.
    pub async fn at(address: SocketAddr, server: SocketAddr) -> Fallible<Relay> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // Whoever drops the set drops the connections in it.
            let mut connections = JoinSet::new();
            while let Ok((mut inner, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut outer = TcpStream::connect(server).await?;
                    inner.set_nodelay(true)?;
                    outer.set_nodelay(true)?;
                    copy_bidirectional(&mut inner, &mut outer).await
                });
            }
        });
        Ok(Relay { address, task })
    }

    /// Cuts it, and comes back when both ends are closed.
    pub async fn cut(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
