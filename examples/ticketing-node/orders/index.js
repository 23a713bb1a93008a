'use strict';
const service = require('../common/service.js');
const listeners = require('./listeners.js');
const routes = require('./routes.js');

service({ listeners: Object.values(listeners), routes });
