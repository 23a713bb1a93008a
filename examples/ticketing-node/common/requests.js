'use strict';
// What routes ask of a request before they look at anything.
const { RequestError } = require('../bus.js');
const { DuplicateKey } = require('./database.js');

const requireAuth = ({ currentUser }) => {
  if (!currentUser) throw new RequestError(401, 'not signed in');
  return currentUser.id;
};

// The client names what it creates, so that a run can be played again.
const inserting = (insert) => {
  try {
    insert();
  } catch (error) {
    throw error instanceof DuplicateKey ? new RequestError(400, 'id is taken') : error;
  }
};

module.exports = { RequestError, requireAuth, inserting };
