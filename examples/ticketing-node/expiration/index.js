'use strict';
// Sets a timer for every order, and says when its time to pay is over.
const bus = require('../bus.js');
const Listener = require('../common/listener.js');
const Publisher = require('../common/publisher.js');
const Subjects = require('../common/subjects.js');
const service = require('../common/service.js');
const stage = require('../common/stage.js');
const { Model, saveAndPublish } = require('../common/database.js');

// The jobs for one order.
class Job extends Model {
  static table = 'jobs';
  static columns = { due: 'INTEGER NOT NULL', made: 'INTEGER NOT NULL', fired: 'INTEGER NOT NULL' };

  toRecord() {
    return { due: this.due * 1000, made: this.made, fired: this.fired };
  }
}
Job.register();

class ExpirationCompletePublisher extends Publisher {
  subject = Subjects.ExpirationComplete;
}

class OrderCreatedListener extends Listener {
  subject = Subjects.OrderCreated;
  queueGroupName = 'expiration-service';

  async onMessage({ id, expiresAt }, msg) {
    const known = Job.findById(id);
    if (!(known && stage.guarded)) {
      const job = known ?? Job.build({ id, made: 0, fired: 0 });
      Object.assign(job, { due: Date.parse(expiresAt), made: job.made + 1 }).save();
      bus.arm(id, job.due - bus.now());
    }
    msg.ack();
  }
}

service({
  listeners: [OrderCreatedListener],
  async onTimer(id, client) {
    const job = Job.findById(id);
    await saveAndPublish(client, (publish) => {
      Object.assign(job, { fired: job.fired + 1 }).save();
      publish(ExpirationCompletePublisher, { orderId: id });
    });
  },
  // Jobs survive: those that are due are armed again.
  started() {
    for (const { id, due, made, fired } of Job.find()) {
      for (let job = fired; job < made; job += 1) bus.arm(id, due - bus.now());
    }
  },
});
