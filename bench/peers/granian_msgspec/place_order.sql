-- Writes an order with all that belongs to it, or nothing. A function rather than a statement of nine parts: each of its statements
-- keeps its plan, which takes PostgreSQL about two thirds of the CPU. Products come last, for orders contend for them, and in the
-- order of their ids, so that no two orders wait for each other. A product that is not as the caller showed it is refused as WF001.
CREATE FUNCTION place_order(
  _caller text, _key text, _fingerprint bytea, _reply bytea,
  _order text, _customer text, _partner text, _payment text, _total bigint, _currency text, _reference text, _note text, _etag text,
  _method text, _now timestamptz, _event text, _payload jsonb, _traceparent text,
  _products text[], _positions int[], _quantities int[], _prices bigint[], _titles text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO idempotency (caller, method, key, fingerprint, reply, created_at)
  VALUES (_caller, 'CreateOrder', _key, _fingerprint, _reply, _now);
  INSERT INTO orders (order_id, customer_id, partner_id, payment_id, total_minor, currency, state, payment_state,
                      external_reference, note, reason, etag, create_time, update_time)
  VALUES (_order, _customer, _partner, _payment, _total, _currency, 'ORDER_STATE_PENDING', 'PAYMENT_STATE_PENDING',
          _reference, _note, '', _etag, _now, _now);
  INSERT INTO order_lines (order_id, position, product_id, title, quantity, unit_price_minor)
  SELECT _order, position, product_id, title, quantity, price
    FROM unnest(_products, _positions, _quantities, _prices, _titles) AS t(product_id, position, quantity, price, title);
  INSERT INTO payments (payment_id, order_id, amount_minor, currency, method, state, create_time, update_time)
  VALUES (_payment, _order, _total, _currency, _method, 'PAYMENT_STATE_PENDING', _now, _now);
  INSERT INTO order_events (event_id, order_id, sequence, type, actor, reason, occur_time)
  VALUES (_event, _order, 1, 'order.placed', _caller, '', _now);
  INSERT INTO outbox (kind, payload, traceparent, attempts, due) VALUES ('order.placed', _payload, _traceparent, 0, _now);
  FOR i IN 1 .. cardinality(_products) LOOP
    UPDATE products SET stock = stock - _quantities[i]
     WHERE product_id = _products[i] AND active AND stock >= _quantities[i]
       AND price_minor = _prices[i] AND title = _titles[i] AND currency = _currency;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'not as shown' USING ERRCODE = 'WF001';
    END IF;
  END LOOP;
END
$$;
