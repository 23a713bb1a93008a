'use strict';
// How the services are after which lesson: docs/course.md has the story. PELLMELL_DESIGN says which stage, or STAGE.

// The course's final design.
const course = {
  // Whether replicas have the ids of their owner.
  ownerIds: true,
  // How a replica takes an update: whatever comes (`blind`), only the next version (`strict`), or the next version, and
  // acks what it has already (`three-way`).
  apply: 'strict',
  // Whether tickets locks a ticket that is ordered.
  locks: true,
  // Whether a lock is published.
  publishesLocks: true,
  // Whether a reserved ticket refuses its edit.
  rejectsReservedEdits: true,
  // Whether tickets remembers what it has seen of each order, so that a lock is taken and released by its order alone.
  ledger: false,
  // Whether orders that are over stay so, an order has one job and one payment, and its completion is published.
  guarded: false,
  // Whether what is saved and what is published are in one transaction.
  outbox: false,
  // Whether an order is paid only once its ticket is reserved at its price.
  saga: false,
};
const stage3 = { ...course, publishesLocks: false, rejectsReservedEdits: false };
const stage2 = { ...stage3, locks: false };
const stage1 = { ...stage2, apply: 'blind' };
const stage0 = { ...stage1, ownerIds: false };
const reference = { ...course, apply: 'three-way', ledger: true, guarded: true, outbox: true };
const saga = { ...reference, saga: true };
const stages = { stage0, stage1, stage2, stage3, stage4: course, stage5: course, course, reference, saga };

const name = process.env.PELLMELL_DESIGN ?? process.env.STAGE ?? 'course';
if (!Object.hasOwn(stages, name)) {
  console.error(`there is no stage ${name}: there are ${Object.keys(stages).join(', ')}`);
  process.exit(2);
}
module.exports = stages[name];
