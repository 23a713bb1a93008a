'use strict';
// How a service follows the records that another one owns.
const stage = require('./stage.js');

// Takes the event that creates a record.
function takeFirst(Model, fields) {
  if (stage.apply === 'three-way' && Model.findById(fields.id)) return;
  Model.build(fields).save();
}

// Takes a later event. Throws where the version before is missing: the message comes again.
function takeNext(Model, { id, version }, change) {
  let record;
  if (stage.apply === 'strict') {
    record = Model.findByEvent({ id, version });
    if (!record) throw new Error('the version before is not there');
  } else {
    record = Model.findById(id);
    if (!record) throw new Error('record unknown');
    if (stage.apply === 'three-way' && version <= record.version) return;
    if (stage.apply === 'three-way' && version > record.version + 1) throw new Error('a version is missing');
  }
  Object.assign(record, change).save();
}

module.exports = { takeFirst, takeNext };
