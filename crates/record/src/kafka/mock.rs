//! A mock cluster with the topics of all scripts.

use std::net::SocketAddr;

use rdkafka::mocking::MockCluster;

use crate::Fallible;
use crate::relay::Relay;
use crate::script::KAFKA;

/// Serves until the process is ended. The cluster takes a port of its own and says so to whoever asks at `address`.
pub async fn serve(address: SocketAddr) -> Fallible<()> {
    let cluster = MockCluster::new(1)?;
    for script in KAFKA {
        cluster.create_topic(script.name, script.partitions.unwrap_or(1).into(), 1)?;
    }
    let servers = cluster.bootstrap_servers();
    let server = servers.split(',').next().unwrap_or_default().parse()?;
    let _relay = Relay::at(address, server).await?;
    std::future::pending().await
}
