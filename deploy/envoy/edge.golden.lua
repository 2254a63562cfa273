-- Generated from the contract by codegen/envoy; do not edit.
local S, E, M = {}, {}, {}
S.int32 = {kind = "scalar", test = "int32", what = "a whole number of 32 bits"}
S.uint32 = {kind = "scalar", test = "uint32", what = "a whole number of 32 bits, not negative"}
S.int64 = {kind = "scalar", test = "int64", what = "a whole number of 64 bits"}
S.uint64 = {kind = "scalar", test = "uint64", what = "a whole number of 64 bits, not negative"}
S.number = {kind = "scalar", test = "number", what = "a finite number"}
S.float = {kind = "scalar", test = "float", what = "a finite number of 32 bits"}
S.bool = {kind = "scalar", test = "bool", what = "true or false"}
S.bytes = {kind = "scalar", test = "bytes", what = "a string in base64"}
S.timestamp = {kind = "scalar", test = "timestamp", what = "a time such as 2026-01-31T12:00:00Z"}
S.duration = {kind = "scalar", test = "duration", what = "a duration such as 1.5s"}
S.mask = {kind = "scalar", test = "mask", what = "names of fields such as title,price.currency"}
S.string = {kind = "scalar", test = "string", what = "a string"}
E["weft.api.v1.Plan"] = {["0"] = true, ["1"] = true, ["2"] = true, ["3"] = true, PLAN_FREE = true, PLAN_PREMIUM = true, PLAN_STANDARD = true, PLAN_UNSPECIFIED = true}
E["weft.order.v1.OrderState"] = {["0"] = true, ["1"] = true, ["2"] = true, ["3"] = true, ["4"] = true, ["5"] = true, ORDER_STATE_CANCELLED = true, ORDER_STATE_COMPLETED = true, ORDER_STATE_CONFIRMED = true, ORDER_STATE_EXPIRED = true, ORDER_STATE_PENDING = true, ORDER_STATE_UNSPECIFIED = true}
E["weft.order.v1.PaymentState"] = {["0"] = true, ["1"] = true, ["2"] = true, ["3"] = true, ["4"] = true, ["5"] = true, ["6"] = true, ["7"] = true, ["8"] = true, ["9"] = true, PAYMENT_STATE_ACTION_REQUIRED = true, PAYMENT_STATE_AUTHORIZED = true, PAYMENT_STATE_CAPTURED = true, PAYMENT_STATE_FAILED = true, PAYMENT_STATE_PARTIALLY_REFUNDED = true, PAYMENT_STATE_PENDING = true, PAYMENT_STATE_PROCESSING = true, PAYMENT_STATE_REFUNDED = true, PAYMENT_STATE_UNSPECIFIED = true, PAYMENT_STATE_VOIDED = true}
E["weft.user.v1.PartnerState"] = {["0"] = true, ["1"] = true, ["2"] = true, PARTNER_STATE_ACTIVE = true, PARTNER_STATE_SUSPENDED = true, PARTNER_STATE_UNSPECIFIED = true}
E["weft.user.v1.UserState"] = {["0"] = true, ["1"] = true, ["2"] = true, ["3"] = true, USER_STATE_ACTIVE = true, USER_STATE_INACTIVE = true, USER_STATE_INITIAL = true, USER_STATE_UNSPECIFIED = true}
M["weft.notification.v1.MarkReadRequest"] = {kind = "message", what = "an object"}
M["weft.order.v1.AdjustStockRequest"] = {kind = "message", what = "an object"}
M["weft.order.v1.CancelOrderRequest"] = {kind = "message", what = "an object"}
M["weft.order.v1.CreateOrderRequest"] = {kind = "message", what = "an object"}
M["weft.order.v1.CreateProductRequest"] = {kind = "message", what = "an object"}
M["weft.order.v1.Money"] = {kind = "message", what = "an object"}
M["weft.order.v1.OrderLineInput"] = {kind = "message", what = "an object"}
M["weft.order.v1.Product"] = {kind = "message", what = "an object"}
M["weft.order.v1.QuoteOrderRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.CreateClientRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.CreatePartnerRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.CreateUserRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.Partner"] = {kind = "message", what = "an object"}
M["weft.user.v1.RefreshRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.ReinstatePartnerRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.ResendVerificationRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.RotateClientSecretRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.SignInRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.SignOutRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.SignUpRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.SuspendPartnerRequest"] = {kind = "message", what = "an object"}
M["weft.user.v1.VerifyEmailRequest"] = {kind = "message", what = "an object"}
M["weft.notification.v1.MarkReadRequest"].fields = {notificationIds = {kind = "list", of = S.string, what = "an array"}, notification_ids = {kind = "list", of = S.string, what = "an array"}}
M["weft.order.v1.AdjustStockRequest"].fields = {delta = S.int64, productId = S.string, product_id = S.string}
M["weft.order.v1.CancelOrderRequest"].fields = {orderId = S.string, order_id = S.string, reason = S.string}
M["weft.order.v1.CreateOrderRequest"].fields = {customerId = S.string, customer_id = S.string, externalReference = S.string, external_reference = S.string, lines = {kind = "list", of = M["weft.order.v1.OrderLineInput"], what = "an array"}, note = S.string, paymentMethod = S.string, payment_method = S.string}
M["weft.order.v1.CreateProductRequest"].fields = {price = M["weft.order.v1.Money"], stock = S.int64, title = S.string}
M["weft.order.v1.Money"].fields = {amountMinor = S.int64, amount_minor = S.int64, currency = S.string}
M["weft.order.v1.OrderLineInput"].fields = {productId = S.string, product_id = S.string, quantity = S.int32}
M["weft.order.v1.Product"].fields = {active = S.bool, createTime = S.timestamp, create_time = S.timestamp, etag = S.string, price = M["weft.order.v1.Money"], productId = S.string, product_id = S.string, stock = S.int64, title = S.string, updateTime = S.timestamp, update_time = S.timestamp}
M["weft.order.v1.QuoteOrderRequest"].fields = {lines = {kind = "list", of = M["weft.order.v1.OrderLineInput"], what = "an array"}}
M["weft.user.v1.CreateClientRequest"].fields = {displayName = S.string, display_name = S.string, partnerId = S.string, partner_id = S.string, scopes = {kind = "list", of = S.string, what = "an array"}}
M["weft.user.v1.CreatePartnerRequest"].fields = {displayName = S.string, display_name = S.string, plan = {kind = "scalar", names = E["weft.api.v1.Plan"], test = "enum", what = "one of PLAN_FREE, PLAN_STANDARD, PLAN_PREMIUM"}, scopes = {kind = "list", of = S.string, what = "an array"}}
M["weft.user.v1.CreateUserRequest"].fields = {displayName = S.string, display_name = S.string, email = S.string, externalReference = S.string, external_reference = S.string, locale = S.string}
M["weft.user.v1.Partner"].fields = {createTime = S.timestamp, create_time = S.timestamp, displayName = S.string, display_name = S.string, etag = S.string, partnerId = S.string, partner_id = S.string, plan = {kind = "scalar", names = E["weft.api.v1.Plan"], test = "enum", what = "one of PLAN_FREE, PLAN_STANDARD, PLAN_PREMIUM"}, scopes = {kind = "list", of = S.string, what = "an array"}, state = {kind = "scalar", names = E["weft.user.v1.PartnerState"], test = "enum", what = "one of PARTNER_STATE_ACTIVE, PARTNER_STATE_SUSPENDED"}, updateTime = S.timestamp, update_time = S.timestamp}
M["weft.user.v1.RefreshRequest"].fields = {refreshToken = S.string, refresh_token = S.string}
M["weft.user.v1.ReinstatePartnerRequest"].fields = {partnerId = S.string, partner_id = S.string}
M["weft.user.v1.ResendVerificationRequest"].fields = {email = S.string, password = S.string}
M["weft.user.v1.RotateClientSecretRequest"].fields = {clientId = S.string, client_id = S.string, partnerId = S.string, partner_id = S.string}
M["weft.user.v1.SignInRequest"].fields = {email = S.string, password = S.string}
M["weft.user.v1.SignOutRequest"].fields = {}
M["weft.user.v1.SignUpRequest"].fields = {displayName = S.string, display_name = S.string, email = S.string, locale = S.string, password = S.string}
M["weft.user.v1.SuspendPartnerRequest"].fields = {partnerId = S.string, partner_id = S.string}
M["weft.user.v1.VerifyEmailRequest"].fields = {code = S.string, email = S.string, password = S.string}
local VERBS = {adjustStock = true, cancel = true, countUnread = true, markRead = true, quote = true, refresh = true, reinstate = true, resendVerification = true, rotateSecret = true, signIn = true, signOut = true, signUp = true, suspend = true, verifyEmail = true, watch = true}
local R, EXACT = {}, {}
R["weft.notification.v1.InboxService.CountUnread"] = {path = "/v1/inbox:countUnread", query = {}, rpc = "/weft.notification.v1.InboxService/CountUnread", verb = "countUnread"}
R["weft.notification.v1.InboxService.ListInbox"] = {path = "/v1/inbox", query = {pageSize = S.int32, pageToken = S.string, page_size = S.int32, page_token = S.string, unreadOnly = S.bool, unread_only = S.bool}, rpc = "/weft.notification.v1.InboxService/ListInbox", verb = ""}
R["weft.notification.v1.InboxService.MarkRead"] = {body = M["weft.notification.v1.MarkReadRequest"], path = "/v1/inbox:markRead", query = {}, rpc = "/weft.notification.v1.InboxService/MarkRead", verb = "markRead"}
R["weft.order.v1.OrderService.CancelOrder"] = {body = M["weft.order.v1.CancelOrderRequest"], bound = {orderId = 3, order_id = 3}, path = "/v1/orders/{order_id}:cancel", query = {}, rpc = "/weft.order.v1.OrderService/CancelOrder", variables = {["{order_id}"] = 3}, verb = "cancel"}
R["weft.order.v1.OrderService.CreateOrder"] = {body = M["weft.order.v1.CreateOrderRequest"], path = "/v1/orders", query = {}, rpc = "/weft.order.v1.OrderService/CreateOrder", verb = ""}
R["weft.order.v1.OrderService.GetOrder"] = {path = "/v1/orders/{order_id}", query = {}, rpc = "/weft.order.v1.OrderService/GetOrder", variables = {["{order_id}"] = 3}, verb = ""}
R["weft.order.v1.OrderService.ListOrders"] = {path = "/v1/orders", query = {createTimeFrom = S.timestamp, createTimeTo = S.timestamp, create_time_from = S.timestamp, create_time_to = S.timestamp, customerId = S.string, customer_id = S.string, externalReference = S.string, external_reference = S.string, pageSize = S.int32, pageToken = S.string, page_size = S.int32, page_token = S.string, states = {kind = "list", of = {kind = "scalar", names = E["weft.order.v1.OrderState"], test = "enum", what = "one of ORDER_STATE_PENDING, ORDER_STATE_CONFIRMED, ORDER_STATE_COMPLETED, ORDER_STATE_CANCELLED, ORDER_STATE_EXPIRED"}, what = "an array"}}, rpc = "/weft.order.v1.OrderService/ListOrders", verb = ""}
R["weft.order.v1.OrderService.QuoteOrder"] = {body = M["weft.order.v1.QuoteOrderRequest"], path = "/v1/orders:quote", query = {}, rpc = "/weft.order.v1.OrderService/QuoteOrder", verb = "quote"}
R["weft.order.v1.OrderService.WatchOrders"] = {path = "/v1/orders:watch", query = {cursor = S.string}, rpc = "/weft.order.v1.OrderService/WatchOrders", streams = true, verb = "watch"}
R["weft.order.v1.PaymentService.GetPayment"] = {path = "/v1/payments/{payment_id}", query = {}, rpc = "/weft.order.v1.PaymentService/GetPayment", variables = {["{payment_id}"] = 3}, verb = ""}
R["weft.order.v1.PaymentService.ListPayments"] = {path = "/v1/payments", query = {pageSize = S.int32, pageToken = S.string, page_size = S.int32, page_token = S.string, states = {kind = "list", of = {kind = "scalar", names = E["weft.order.v1.PaymentState"], test = "enum", what = "one of PAYMENT_STATE_PENDING, PAYMENT_STATE_ACTION_REQUIRED, PAYMENT_STATE_AUTHORIZED, PAYMENT_STATE_CAPTURED, PAYMENT_STATE_PARTIALLY_REFUNDED, PAYMENT_STATE_REFUNDED, PAYMENT_STATE_FAILED, PAYMENT_STATE_VOIDED, PAYMENT_STATE_PROCESSING"}, what = "an array"}}, rpc = "/weft.order.v1.PaymentService/ListPayments", verb = ""}
R["weft.order.v1.ProductService.AdjustStock"] = {body = M["weft.order.v1.AdjustStockRequest"], bound = {productId = 3, product_id = 3}, path = "/v1/products/{product_id}:adjustStock", query = {}, rpc = "/weft.order.v1.ProductService/AdjustStock", variables = {["{product_id}"] = 3}, verb = "adjustStock"}
R["weft.order.v1.ProductService.CreateProduct"] = {body = M["weft.order.v1.CreateProductRequest"], path = "/v1/products", query = {}, rpc = "/weft.order.v1.ProductService/CreateProduct", verb = ""}
R["weft.order.v1.ProductService.GetProduct"] = {path = "/v1/products/{product_id}", query = {}, rpc = "/weft.order.v1.ProductService/GetProduct", variables = {["{product_id}"] = 3}, verb = ""}
R["weft.order.v1.ProductService.ListProducts"] = {path = "/v1/products", query = {pageSize = S.int32, pageToken = S.string, page_size = S.int32, page_token = S.string}, rpc = "/weft.order.v1.ProductService/ListProducts", verb = ""}
R["weft.order.v1.ProductService.UpdateProduct"] = {body = M["weft.order.v1.Product"], bound = {productId = 3, product_id = 3}, path = "/v1/products/{product.product_id}", query = {updateMask = S.mask, update_mask = S.mask}, rpc = "/weft.order.v1.ProductService/UpdateProduct", variables = {["{product.product_id}"] = 3}, verb = ""}
R["weft.user.v1.AuthService.Refresh"] = {body = M["weft.user.v1.RefreshRequest"], path = "/v1/auth:refresh", query = {}, rpc = "/weft.user.v1.AuthService/Refresh", verb = "refresh"}
R["weft.user.v1.AuthService.ResendVerification"] = {body = M["weft.user.v1.ResendVerificationRequest"], path = "/v1/auth:resendVerification", query = {}, rpc = "/weft.user.v1.AuthService/ResendVerification", verb = "resendVerification"}
R["weft.user.v1.AuthService.SignIn"] = {body = M["weft.user.v1.SignInRequest"], path = "/v1/auth:signIn", query = {}, rpc = "/weft.user.v1.AuthService/SignIn", verb = "signIn"}
R["weft.user.v1.AuthService.SignOut"] = {body = M["weft.user.v1.SignOutRequest"], path = "/v1/auth:signOut", query = {}, rpc = "/weft.user.v1.AuthService/SignOut", verb = "signOut"}
R["weft.user.v1.AuthService.SignUp"] = {body = M["weft.user.v1.SignUpRequest"], path = "/v1/auth:signUp", query = {}, rpc = "/weft.user.v1.AuthService/SignUp", verb = "signUp"}
R["weft.user.v1.AuthService.VerifyEmail"] = {body = M["weft.user.v1.VerifyEmailRequest"], path = "/v1/auth:verifyEmail", query = {}, rpc = "/weft.user.v1.AuthService/VerifyEmail", verb = "verifyEmail"}
R["weft.user.v1.OAuthService.GetJwks"] = {path = "/.well-known/jwks.json", query = {}, rpc = "/weft.user.v1.OAuthService/GetJwks", verb = ""}
R["weft.user.v1.OAuthService.GetMetadata"] = {path = "/.well-known/oauth-authorization-server", query = {}, rpc = "/weft.user.v1.OAuthService/GetMetadata", verb = ""}
R["weft.user.v1.OAuthService.Revoke"] = {body = "raw", path = "/oauth2/revoke", query = {}, rpc = "/weft.user.v1.OAuthService/Revoke", verb = ""}
R["weft.user.v1.OAuthService.Token"] = {body = "raw", path = "/oauth2/token", query = {}, rpc = "/weft.user.v1.OAuthService/Token", verb = ""}
R["weft.user.v1.PartnerService.CreateClient"] = {body = M["weft.user.v1.CreateClientRequest"], bound = {partnerId = 3, partner_id = 3}, path = "/v1/partners/{partner_id}/clients", query = {}, rpc = "/weft.user.v1.PartnerService/CreateClient", variables = {["{partner_id}"] = 3}, verb = ""}
R["weft.user.v1.PartnerService.CreatePartner"] = {body = M["weft.user.v1.CreatePartnerRequest"], path = "/v1/partners", query = {}, rpc = "/weft.user.v1.PartnerService/CreatePartner", verb = ""}
R["weft.user.v1.PartnerService.GetPartner"] = {path = "/v1/partners/{partner_id}", query = {}, rpc = "/weft.user.v1.PartnerService/GetPartner", variables = {["{partner_id}"] = 3}, verb = ""}
R["weft.user.v1.PartnerService.ListClients"] = {path = "/v1/partners/{partner_id}/clients", query = {pageSize = S.int32, pageToken = S.string, page_size = S.int32, page_token = S.string}, rpc = "/weft.user.v1.PartnerService/ListClients", variables = {["{partner_id}"] = 3}, verb = ""}
R["weft.user.v1.PartnerService.ListPartners"] = {path = "/v1/partners", query = {pageSize = S.int32, pageToken = S.string, page_size = S.int32, page_token = S.string}, rpc = "/weft.user.v1.PartnerService/ListPartners", verb = ""}
R["weft.user.v1.PartnerService.ReinstatePartner"] = {body = M["weft.user.v1.ReinstatePartnerRequest"], bound = {partnerId = 3, partner_id = 3}, path = "/v1/partners/{partner_id}:reinstate", query = {}, rpc = "/weft.user.v1.PartnerService/ReinstatePartner", variables = {["{partner_id}"] = 3}, verb = "reinstate"}
R["weft.user.v1.PartnerService.RevokeClient"] = {path = "/v1/partners/{partner_id}/clients/{client_id}", query = {}, rpc = "/weft.user.v1.PartnerService/RevokeClient", variables = {["{client_id}"] = 5, ["{partner_id}"] = 3}, verb = ""}
R["weft.user.v1.PartnerService.RotateClientSecret"] = {body = M["weft.user.v1.RotateClientSecretRequest"], bound = {clientId = 5, client_id = 5, partnerId = 3, partner_id = 3}, path = "/v1/partners/{partner_id}/clients/{client_id}:rotateSecret", query = {}, rpc = "/weft.user.v1.PartnerService/RotateClientSecret", variables = {["{client_id}"] = 5, ["{partner_id}"] = 3}, verb = "rotateSecret"}
R["weft.user.v1.PartnerService.SuspendPartner"] = {body = M["weft.user.v1.SuspendPartnerRequest"], bound = {partnerId = 3, partner_id = 3}, path = "/v1/partners/{partner_id}:suspend", query = {}, rpc = "/weft.user.v1.PartnerService/SuspendPartner", variables = {["{partner_id}"] = 3}, verb = "suspend"}
R["weft.user.v1.PartnerService.UpdatePartner"] = {body = M["weft.user.v1.Partner"], bound = {partnerId = 3, partner_id = 3}, path = "/v1/partners/{partner.partner_id}", query = {updateMask = S.mask, update_mask = S.mask}, rpc = "/weft.user.v1.PartnerService/UpdatePartner", variables = {["{partner.partner_id}"] = 3}, verb = ""}
R["weft.user.v1.UserService.CreateUser"] = {body = M["weft.user.v1.CreateUserRequest"], path = "/v1/users", query = {}, rpc = "/weft.user.v1.UserService/CreateUser", verb = ""}
R["weft.user.v1.UserService.GetUser"] = {path = "/v1/users/{user_id}", query = {}, rpc = "/weft.user.v1.UserService/GetUser", variables = {["{user_id}"] = 3}, verb = ""}
R["weft.user.v1.UserService.ListUsers"] = {path = "/v1/users", query = {email = S.string, externalReference = S.string, external_reference = S.string, pageSize = S.int32, pageToken = S.string, page_size = S.int32, page_token = S.string, states = {kind = "list", of = {kind = "scalar", names = E["weft.user.v1.UserState"], test = "enum", what = "one of USER_STATE_INITIAL, USER_STATE_ACTIVE, USER_STATE_INACTIVE"}, what = "an array"}}, rpc = "/weft.user.v1.UserService/ListUsers", verb = ""}
EXACT["/.well-known/jwks.json"] = {GET = R["weft.user.v1.OAuthService.GetJwks"]}
EXACT["/.well-known/oauth-authorization-server"] = {GET = R["weft.user.v1.OAuthService.GetMetadata"]}
EXACT["/oauth2/revoke"] = {POST = R["weft.user.v1.OAuthService.Revoke"]}
EXACT["/oauth2/token"] = {POST = R["weft.user.v1.OAuthService.Token"]}
EXACT["/v1/auth:refresh"] = {POST = R["weft.user.v1.AuthService.Refresh"]}
EXACT["/v1/auth:resendVerification"] = {POST = R["weft.user.v1.AuthService.ResendVerification"]}
EXACT["/v1/auth:signIn"] = {POST = R["weft.user.v1.AuthService.SignIn"]}
EXACT["/v1/auth:signOut"] = {POST = R["weft.user.v1.AuthService.SignOut"]}
EXACT["/v1/auth:signUp"] = {POST = R["weft.user.v1.AuthService.SignUp"]}
EXACT["/v1/auth:verifyEmail"] = {POST = R["weft.user.v1.AuthService.VerifyEmail"]}
EXACT["/v1/inbox"] = {GET = R["weft.notification.v1.InboxService.ListInbox"]}
EXACT["/v1/inbox:countUnread"] = {GET = R["weft.notification.v1.InboxService.CountUnread"]}
EXACT["/v1/inbox:markRead"] = {POST = R["weft.notification.v1.InboxService.MarkRead"]}
EXACT["/v1/orders"] = {GET = R["weft.order.v1.OrderService.ListOrders"], POST = R["weft.order.v1.OrderService.CreateOrder"]}
EXACT["/v1/orders:quote"] = {POST = R["weft.order.v1.OrderService.QuoteOrder"]}
EXACT["/v1/orders:watch"] = {GET = R["weft.order.v1.OrderService.WatchOrders"]}
EXACT["/v1/partners"] = {GET = R["weft.user.v1.PartnerService.ListPartners"], POST = R["weft.user.v1.PartnerService.CreatePartner"]}
EXACT["/v1/payments"] = {GET = R["weft.order.v1.PaymentService.ListPayments"]}
EXACT["/v1/products"] = {GET = R["weft.order.v1.ProductService.ListProducts"], POST = R["weft.order.v1.ProductService.CreateProduct"]}
EXACT["/v1/users"] = {GET = R["weft.user.v1.UserService.ListUsers"], POST = R["weft.user.v1.UserService.CreateUser"]}
local TREE = {literals = {[".well-known"] = {literals = {["jwks.json"] = {verbs = {[""] = {GET = R["weft.user.v1.OAuthService.GetJwks"]}}}, ["oauth-authorization-server"] = {verbs = {[""] = {GET = R["weft.user.v1.OAuthService.GetMetadata"]}}}}}, oauth2 = {literals = {revoke = {verbs = {[""] = {POST = R["weft.user.v1.OAuthService.Revoke"]}}}, token = {verbs = {[""] = {POST = R["weft.user.v1.OAuthService.Token"]}}}}}, v1 = {literals = {auth = {verbs = {refresh = {POST = R["weft.user.v1.AuthService.Refresh"]}, resendVerification = {POST = R["weft.user.v1.AuthService.ResendVerification"]}, signIn = {POST = R["weft.user.v1.AuthService.SignIn"]}, signOut = {POST = R["weft.user.v1.AuthService.SignOut"]}, signUp = {POST = R["weft.user.v1.AuthService.SignUp"]}, verifyEmail = {POST = R["weft.user.v1.AuthService.VerifyEmail"]}}}, inbox = {verbs = {[""] = {GET = R["weft.notification.v1.InboxService.ListInbox"]}, countUnread = {GET = R["weft.notification.v1.InboxService.CountUnread"]}, markRead = {POST = R["weft.notification.v1.InboxService.MarkRead"]}}}, orders = {any = {verbs = {[""] = {GET = R["weft.order.v1.OrderService.GetOrder"]}, cancel = {POST = R["weft.order.v1.OrderService.CancelOrder"]}}}, verbs = {[""] = {GET = R["weft.order.v1.OrderService.ListOrders"], POST = R["weft.order.v1.OrderService.CreateOrder"]}, quote = {POST = R["weft.order.v1.OrderService.QuoteOrder"]}, watch = {GET = R["weft.order.v1.OrderService.WatchOrders"]}}}, partners = {any = {literals = {clients = {any = {verbs = {[""] = {DELETE = R["weft.user.v1.PartnerService.RevokeClient"]}, rotateSecret = {POST = R["weft.user.v1.PartnerService.RotateClientSecret"]}}}, verbs = {[""] = {GET = R["weft.user.v1.PartnerService.ListClients"], POST = R["weft.user.v1.PartnerService.CreateClient"]}}}}, verbs = {[""] = {GET = R["weft.user.v1.PartnerService.GetPartner"], PATCH = R["weft.user.v1.PartnerService.UpdatePartner"]}, reinstate = {POST = R["weft.user.v1.PartnerService.ReinstatePartner"]}, suspend = {POST = R["weft.user.v1.PartnerService.SuspendPartner"]}}}, verbs = {[""] = {GET = R["weft.user.v1.PartnerService.ListPartners"], POST = R["weft.user.v1.PartnerService.CreatePartner"]}}}, payments = {any = {verbs = {[""] = {GET = R["weft.order.v1.PaymentService.GetPayment"]}}}, verbs = {[""] = {GET = R["weft.order.v1.PaymentService.ListPayments"]}}}, products = {any = {verbs = {[""] = {GET = R["weft.order.v1.ProductService.GetProduct"], PATCH = R["weft.order.v1.ProductService.UpdateProduct"]}, adjustStock = {POST = R["weft.order.v1.ProductService.AdjustStock"]}}}, verbs = {[""] = {GET = R["weft.order.v1.ProductService.ListProducts"], POST = R["weft.order.v1.ProductService.CreateProduct"]}}}, users = {any = {verbs = {[""] = {GET = R["weft.user.v1.UserService.GetUser"]}}}, verbs = {[""] = {GET = R["weft.user.v1.UserService.ListUsers"], POST = R["weft.user.v1.UserService.CreateUser"]}}}}}}}
local STATIC = {["/"] = true, ["/docs"] = false, ["/favicon.ico"] = true, ["/openapi.json"] = true, ["/robots.txt"] = true}
local ONCE = {authorization = "CAMSMGF1dGhvcml6YXRpb24gbXVzdCBiZSBvbmUgbGluZSBvZiB2aXNpYmxlIEFTQ0lJLhpJCih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuRXJyb3JJbmZvEh0KDkhUVFBfTUFMRk9STUVEEgt3ZWZ0LmFwaS52MRphCil0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuQmFkUmVxdWVzdBI0CjIKDWF1dGhvcml6YXRpb24SIW11c3QgYmUgb25lIGxpbmUgb2YgdmlzaWJsZSBBU0NJSQ", ["content-type"] = "CAMSL2NvbnRlbnQtdHlwZSBtdXN0IGJlIG9uZSBsaW5lIG9mIHZpc2libGUgQVNDSUkuGkkKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5FcnJvckluZm8SHQoOSFRUUF9NQUxGT1JNRUQSC3dlZnQuYXBpLnYxGmAKKXR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5CYWRSZXF1ZXN0EjMKMQoMY29udGVudC10eXBlEiFtdXN0IGJlIG9uZSBsaW5lIG9mIHZpc2libGUgQVNDSUk", ["idempotency-key"] = "CAMSMmlkZW1wb3RlbmN5LWtleSBtdXN0IGJlIG9uZSBsaW5lIG9mIHZpc2libGUgQVNDSUkuGkkKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5FcnJvckluZm8SHQoOSFRUUF9NQUxGT1JNRUQSC3dlZnQuYXBpLnYxGmMKKXR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5CYWRSZXF1ZXN0EjYKNAoPaWRlbXBvdGVuY3kta2V5EiFtdXN0IGJlIG9uZSBsaW5lIG9mIHZpc2libGUgQVNDSUk"}
local LARGEST = {["/weft.notification.v1.InboxService/CountUnread"] = 5120, ["/weft.notification.v1.InboxService/ListInbox"] = 16384, ["/weft.notification.v1.InboxService/MarkRead"] = 187392, ["/weft.order.v1.OrderService/CancelOrder"] = 7168, ["/weft.order.v1.OrderService/CreateOrder"] = 37888, ["/weft.order.v1.OrderService/GetOrder"] = 5120, ["/weft.order.v1.OrderService/ListOrders"] = 18432, ["/weft.order.v1.OrderService/QuoteOrder"] = 29696, ["/weft.order.v1.OrderService/WatchOrders"] = 7168, ["/weft.order.v1.PaymentService/GetPayment"] = 5120, ["/weft.order.v1.PaymentService/ListPayments"] = 17408, ["/weft.order.v1.ProductService/AdjustStock"] = 5120, ["/weft.order.v1.ProductService/CreateProduct"] = 7168, ["/weft.order.v1.ProductService/GetProduct"] = 5120, ["/weft.order.v1.ProductService/ListProducts"] = 16384, ["/weft.order.v1.ProductService/UpdateProduct"] = 12288, ["/weft.user.v1.AuthService/Refresh"] = 7168, ["/weft.user.v1.AuthService/ResendVerification"] = 9216, ["/weft.user.v1.AuthService/SignIn"] = 9216, ["/weft.user.v1.AuthService/SignOut"] = 5120, ["/weft.user.v1.AuthService/SignUp"] = 10240, ["/weft.user.v1.AuthService/VerifyEmail"] = 9216, ["/weft.user.v1.OAuthService/GetJwks"] = 5120, ["/weft.user.v1.OAuthService/GetMetadata"] = 5120, ["/weft.user.v1.OAuthService/Revoke"] = 13312, ["/weft.user.v1.OAuthService/Token"] = 13312, ["/weft.user.v1.PartnerService/CreateClient"] = 25600, ["/weft.user.v1.PartnerService/CreatePartner"] = 25600, ["/weft.user.v1.PartnerService/GetPartner"] = 5120, ["/weft.user.v1.PartnerService/ListClients"] = 16384, ["/weft.user.v1.PartnerService/ListPartners"] = 16384, ["/weft.user.v1.PartnerService/ReinstatePartner"] = 5120, ["/weft.user.v1.PartnerService/RevokeClient"] = 5120, ["/weft.user.v1.PartnerService/RotateClientSecret"] = 5120, ["/weft.user.v1.PartnerService/SuspendPartner"] = 5120, ["/weft.user.v1.PartnerService/UpdatePartner"] = 29696, ["/weft.user.v1.UserService/CreateUser"] = 10240, ["/weft.user.v1.UserService/GetUser"] = 5120, ["/weft.user.v1.UserService/ListUsers"] = 21504}
local STREAMS = {["/weft.order.v1.OrderService/WatchOrders"] = 131072}
local HEADER_BYTES, HEADERS = 33280, 112
local MIN_REQUEST_BYTES, FRAME_BYTES, REFUSALS = 1024, 16384, 100
