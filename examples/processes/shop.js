'use strict';
// Owns items. Their records are kept by pellmell, as by a database.
const { serve, Refused } = require('./pellmell.js');

serve({
  keeps: 'records',
  async call({ name, record, body }, ctx) {
    if (name !== 'set_price') throw new Refused(404, `there is no call ${name}`);
    const item = await ctx.find(record);
    const value = { price: body.price };
    const version = item ? await ctx.update(record, value, item.version) : await ctx.insert(record, value);
    ctx.publish({ subject: 'item:changed', body: { id: record, version, price: body.price } });
  },
});
