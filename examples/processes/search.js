'use strict';
// Keeps a copy of each item, and takes whatever comes.
const { serve } = require('./pellmell.js');

serve({
  keeps: 'records',
  async delivery({ body }, ctx) {
    await ctx.overwrite(body.id, { price: body.price }, body.version);
  },
});
