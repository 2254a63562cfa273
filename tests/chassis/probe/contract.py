"""The contract that the chassis's tests serve: one RPC of each kind. No RPC of a real service changes these tests."""

from typing import Any

from google.protobuf import descriptor_pool
from weft.api.v1 import error_reason_pb2  # noqa: F401 - the default pool must have what the probe imports

from chassis.rpc.requests.validation import message_class
from contract import Contract
from tests.contract import compiled

SERVICE = "weft.lab.v1.ItemService"
_TEXT = """
import "weft/api/v1/error_reason.proto";

enum ErrorReason {
  ERROR_REASON_UNSPECIFIED = 0;
  // No such item.
  ITEM_NOT_FOUND = 1 [(weft.api.v1.reason) = {code: NOT_FOUND metadata: ["item_id"]}];
}

// Items, each with a few parts.
service ItemService {
  option (weft.api.v1.service) = {rate: RATE_CLASS_READ deadline: {seconds: 5}};

  // Takes a key; answers 201.
  rpc CreateItem(CreateItemRequest) returns (Item) {
    option (google.api.http) = {post: "/v1/items" body: "*"};
    option (weft.api.v1.method) = {
      callers: [CALLER_OPERATOR, CALLER_PARTNER] scope: SCOPE_PRODUCTS_WRITE rate: RATE_CLASS_WRITE
      key: IDEMPOTENCY_KEY_ACCEPTED success: 201
    };
  }

  // Needs a token and a scope.
  rpc GetItem(GetItemRequest) returns (Item) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/items/{item_id}"};
    option (weft.api.v1.method) = {
      callers: [CALLER_USER, CALLER_OPERATOR, CALLER_PARTNER] scope: SCOPE_ORDERS_READ owner: "item_id"
    };
  }

  // Public.
  rpc PeekItem(GetItemRequest) returns (Item) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/items/{item_id}:peek"};
    option (weft.api.v1.method) = {callers: [CALLER_PUBLIC] errors: ["ITEM_NOT_FOUND"]};
  }

  // Public, in pages.
  rpc ListItems(ListItemsRequest) returns (ListItemsResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/items"};
    option (weft.api.v1.method) = {callers: [CALLER_PUBLIC]};
  }

  // Idempotent.
  rpc UpdateItem(UpdateItemRequest) returns (Item) {
    option idempotency_level = IDEMPOTENT;
    option (google.api.http) = {patch: "/v1/items/{item.item_id}" body: "item"};
    option (weft.api.v1.method) = {
      callers: [CALLER_OPERATOR] scope: SCOPE_PRODUCTS_WRITE rate: RATE_CLASS_WRITE
    };
  }

  // Asks for a key.
  rpc AdjustItem(AdjustItemRequest) returns (Item) {
    option (google.api.http) = {post: "/v1/items/{item_id}:adjust" body: "*"};
    option (weft.api.v1.method) = {
      callers: [CALLER_OPERATOR] scope: SCOPE_PRODUCTS_WRITE rate: RATE_CLASS_WRITE key: IDEMPOTENCY_KEY_REQUIRED
    };
  }

  // A stream.
  rpc WatchItems(WatchItemsRequest) returns (stream WatchItemsResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/items:watch"};
    option (weft.api.v1.method) = {
      callers: [CALLER_USER, CALLER_OPERATOR, CALLER_PARTNER] scope: SCOPE_ORDERS_READ owner: "*"
      deadline: {seconds: 600}
    };
  }
}

message Part {
  string part_id = 1 [(buf.validate.field).string.pattern = "^prt_[0-7][0-9a-hjkmnp-tv-z]{25}$"];
  string title = 2 [(buf.validate.field).string.max_len = 200];
  int32 quantity = 3 [(buf.validate.field).int32.gte = 1, (buf.validate.field).int32.lte = 1000];
}

message Item {
  string item_id = 1;
  string title = 2;
  string user_id = 3;
  repeated Part parts = 4;
}

message CreateItemRequest {
  string title = 1 [(buf.validate.field).string.min_len = 1, (buf.validate.field).string.max_len = 200];
  int32 weight = 2 [(buf.validate.field).int32.gte = 0];
  repeated Part parts = 3 [(buf.validate.field).repeated.max_items = 100];
}

message GetItemRequest {
  string item_id = 1 [(buf.validate.field).string.pattern = "^itm_[0-7][0-9a-hjkmnp-tv-z]{25}$"];
}

message ListItemsRequest {
  int32 page_size = 1 [(buf.validate.field).int32.gte = 0];
  string page_token = 2 [(buf.validate.field).string.max_len = 1000];
}

message ListItemsResponse {
  repeated Item items = 1;
  string next_page_token = 2;
}

message UpdateItemRequest {
  ItemTitle item = 1;
}

message ItemTitle {
  string item_id = 1 [(buf.validate.field).string.max_len = 30];
  string title = 2 [(buf.validate.field).string.max_len = 200];
}

message AdjustItemRequest {
  string item_id = 1 [(buf.validate.field).string.pattern = "^itm_[0-7][0-9a-hjkmnp-tv-z]{25}$"];
  int32 delta = 2;
}

message WatchItemsRequest {
  string cursor = 1 [(buf.validate.field).string.max_len = 100];
}

message WatchItemsResponse {
  string cursor = 1;
}
"""
_DESCRIPTORS = compiled.descriptors(_TEXT)
CONTRACT = Contract(_DESCRIPTORS)
descriptor_pool.Default().AddSerializedFile(_DESCRIPTORS.file[-1].SerializeToString())

Item: Any = message_class("weft.lab.v1.Item")
Part: Any = message_class("weft.lab.v1.Part")
CreateItemRequest: Any = message_class("weft.lab.v1.CreateItemRequest")
GetItemRequest: Any = message_class("weft.lab.v1.GetItemRequest")
ListItemsRequest: Any = message_class("weft.lab.v1.ListItemsRequest")
ListItemsResponse: Any = message_class("weft.lab.v1.ListItemsResponse")
UpdateItemRequest: Any = message_class("weft.lab.v1.UpdateItemRequest")
AdjustItemRequest: Any = message_class("weft.lab.v1.AdjustItemRequest")
WatchItemsRequest: Any = message_class("weft.lab.v1.WatchItemsRequest")
WatchItemsResponse: Any = message_class("weft.lab.v1.WatchItemsResponse")
