'use strict';

// Listens to a subject in the queue group of its service, from the first message on. What is not acked comes again.
class Listener {
  ackWait = 5 * 1000;

  constructor(client) {
    this.client = client;
  }

  subscriptionOptions() {
    return this.client
      .subscriptionOptions()
      .setDeliverAllAvailable()
      .setManualAckMode(true)
      .setAckWait(this.ackWait)
      .setDurableName(this.queueGroupName);
  }

  listen() {
    const subscription = this.client.subscribe(this.subject, this.queueGroupName, this.subscriptionOptions());
    subscription.on('message', (msg) => this.onMessage(JSON.parse(msg.getData()), msg));
  }
}

module.exports = Listener;
