'use strict';

// Publishes to a subject.
class Publisher {
  constructor(client) {
    this.client = client;
  }

  publish(data) {
    return new Promise((resolve, reject) => {
      this.client.publish(this.subject, JSON.stringify(data), (error) => (error ? reject(error) : resolve()));
    });
  }
}

module.exports = Publisher;
