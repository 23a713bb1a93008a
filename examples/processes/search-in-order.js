'use strict';
// Keeps a copy of each item, and takes the change that follows the one it has.
const { serve } = require('./pellmell.js');

serve({
  keeps: 'records',
  async delivery({ body }, ctx) {
    const held = await ctx.find(body.id);
    if (held && held.version >= body.version) return; // it came before
    if (body.version !== (held ? held.version + 1 : 0)) throw new Error('a change before it is missing');
    const value = { price: body.price };
    if (held) await ctx.update(body.id, value, held.version, body.version);
    else await ctx.insert(body.id, value, body.version);
  },
});
