'use strict';
const service = require('../common/service.js');
const stage = require('../common/stage.js');
const { OrderCreatedListener, OrderCancelledListener } = require('./listeners.js');
const routes = require('./routes.js');

service({ listeners: stage.locks ? [OrderCreatedListener, OrderCancelledListener] : [], routes });
