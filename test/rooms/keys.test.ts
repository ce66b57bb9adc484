import { runRoom } from '../fixtures/room.js'

runRoom('keys')
